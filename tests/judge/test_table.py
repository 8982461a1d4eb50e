from pipelines.judge import table
from pipelines.judge.finding import Finding, Mark
from pipelines.judge.reading import Read
from pipelines.judge.verdicts import Opinion, Verdict, unjudged
from tests.support.written_tunes import tune


def read(title="A Tune", problem=""):
    return Read("music/one.mid", 1, "1", title, None, None if problem else tune("d6|"), problem)


RHYTHM = Opinion(
    1.5, Finding(-9.0, "short", {}, tuple(Mark(i, "a beat too short") for i in range(8))), "", True
)


def test_a_line_has_name_scores_and_verdict():
    verdict = Verdict({"rhythm": RHYTHM, "mode": Opinion(None, None, "it has one note")})
    found = table.line(read(), verdict)
    assert found.split() == ["1", "A", "Tune", "1.5", "-", "rejected:", "rhythm"]
    assert table.line(read(), verdict, with_file=True).startswith("one.mid 1 A Tune ")
    assert table.head(list(verdict.opinions)).split() == ["tune", "rhythm", "mode", "verdict"]


def test_tunes_of_one_job_are_told_apart_by_the_ends_of_their_names():
    told = unjudged([], "it has 2 voices")

    def shown(file, name="1", title="Jig 1 (seed 2041125665)", with_file=True):
        found = Read(file, 1, name, title, None, None, "x")
        return table.line(found, told, with_file=with_file)[:34].rstrip()

    long = "music/tune_lm-lstm_sample_seed2041125665_000-of-005"
    assert shown(f"{long}.abc") == "…_000-of-005.abc 1 Jig 1 (seed…"
    assert shown(f"{long}.mid", "", "") == "…ple_seed2041125665_000-of-005.mid"
    assert shown("a.abc", title="Maid") == "a.abc 1 Maid"
    assert shown(f"{long}.abc", with_file=False) == "1 Jig 1 (seed 2041125665)"


def test_what_cannot_be_judged_says_why_in_its_line():
    told = table.line(read(problem="it has 2 voices"), unjudged(["rhythm"], "it has 2 voices"))
    assert told.endswith("cannot be judged: it has 2 voices")
    fine = Opinion(3.0, Finding(0.0, "full", {}))
    verdict = Verdict({"rhythm": fine, "mode": Opinion(None, None, "it has one note")})
    assert table.line(read(), verdict).endswith("cannot be judged: it has one note")


def test_reasons_are_told_by_bar_and_the_rest_is_counted():
    verdict = Verdict({"rhythm": RHYTHM, "mode": Opinion(None, None, "it has one note")})
    assert list(table.reasons(verdict)) == [
        "  rhythm: short",
        *(f"      bar {number}: a beat too short" for number in range(1, 7)),
        "      and 2 more bars",
        "  mode: cannot be judged: it has one note",
    ]
    seven = RHYTHM._replace(finding=RHYTHM.finding._replace(marks=RHYTHM.finding.marks[:7]))
    assert list(table.reasons(Verdict({"rhythm": seven})))[-1] == "      and 1 more bar"
