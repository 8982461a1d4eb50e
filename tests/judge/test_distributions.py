from pipelines.judge import distributions
from pipelines.judge.finding import Finding
from pipelines.judge.verdicts import Opinion, Verdict


def opinion(score, fails=False):
    return Opinion(score, Finding(0.0, "", {}), "", fails)


VERDICTS = [
    Verdict({"rhythm": opinion(5.0), "melody": opinion(2.0)}),
    Verdict({"rhythm": opinion(1.0, fails=True), "melody": opinion(4.0)}),
    Verdict({"rhythm": opinion(3.0), "melody": Opinion(None, None, "one note")}),
    Verdict({"rhythm": Opinion(None, None, "?"), "melody": Opinion(None, None, "one note")}),
]


def test_shares_and_scores_of_four_verdicts():
    found = distributions.of(VERDICTS)
    assert (found["tunes"], found["passed"], found["rejected"], found["unjudged"]) == (
        4, 0.25, 0.25, 0.5,
    )  # fmt: skip
    assert found["criteria"]["rhythm"] == {
        "rejected": 0.25, "unjudged": 0.25, "mean": 3.0, "low": 1.4, "median": 3.0, "high": 4.6,
    }  # fmt: skip
    assert found["criteria"]["melody"]["unjudged"] == 0.5


def test_a_table_has_a_row_for_each_set():
    lines = list(distributions.table({"people": distributions.of(VERDICTS)}))
    assert lines[2] == "| people | 4 | 25% | 25%, 3.00 | 0%, 3.00 |"
    assert len(lines) == 3
    none = distributions.of(VERDICTS[3:])
    assert list(distributions.table({"none": none}))[2] == "| none | 1 | 0% | 0% | 0% |"


def test_tunes_are_judged():
    found = distributions.judged(lambda tune: VERDICTS[tune], [0, 1, 2, 3])
    assert found == distributions.of(VERDICTS)
