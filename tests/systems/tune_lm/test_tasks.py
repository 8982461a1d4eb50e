import pytest

from pipelines.music.abc import tunebook
from pipelines.music.abc.grid import WHOLE
from pipelines.music.abc.notation import notate
from pipelines.representations.abc_tokens import steps, vocabulary, written
from pipelines.runtime.app import UserError
from pipelines.systems.tune_lm import conditions, grammar, tasks
from pipelines.systems.tune_lm.tasks import Asked
from tests.support import drawing

EIGHTH = WHOLE // 8
STRAIN = "|:A|d2f a2f|g2e c2A|d2f a2f|gec d2:|"


def tune(body, meter="6/8", key="D"):
    text = f"X:1\nT:Mine\nR:jig\nM:{meter}\nL:1/8\nK:{key}\n{body}\n"
    (found,) = tunebook.tunes(text)
    return written.from_score(notate(found))


def draw(task, seed=1, count=5):
    """Tunes of a task, by a model that knows nothing."""
    of = grammar.compiled([task.items], cadences=task.cadences)
    drawn = drawing.tunes(of, [0] * count, seed)
    made = [steps.decode(drawing.tokens(pairs), task.given) for pairs in drawn]
    return [one._replace(bars=one.bars[task.first_bar :]) for one in made]


def notes(bars):
    return [bar.notes for bar in bars]


def test_a_new_tune():
    for made in draw(tasks.new(conditions.make((6, 8), bars=2, of_pickup=EIGHTH))):
        lengths = [EIGHTH, 6 * EIGHTH, 5 * EIGHTH]
        assert [bar.length for bar in made.bars] == 2 * lengths
    free = tasks.new(conditions.make(letters="ABA"), in_form=False)
    assert (free.items, free.given.parts) == ([grammar.Anything()], "")


def test_a_begin_is_continued_to_the_end_of_its_form():
    """Three bars and a half of a jig with a pickup, without any sign; D in every key."""
    prompt = tune("A|d2f a2f|g2e c2A|d2f a2f|ge")
    task = tasks.go_on(prompt, Asked(bars=8), "x.abc")
    assert task.given[1:4] == (written.Key(2, "MAJOR"), "jig", prompt.tempo)
    for made in draw(task):
        assert notes(made.bars)[:4] == notes(prompt.bars)[:4]
        assert made.bars[4].notes[:2] == prompt.bars[4].notes
        strain = [EIGHTH, *[6 * EIGHTH] * 7, 5 * EIGHTH]
        assert [bar.length for bar in made.bars] == 2 * strain
        assert [i for i, bar in enumerate(made.bars) if bar.opens] == [0, 9]
        assert [i for i, bar in enumerate(made.bars) if bar.closes] == [8, 17]
        assert (made.bars[-1].notes[-1].pitch - 62) % 12 == 0


def test_a_begin_in_other_keys_and_meters():
    for body, meter, key in (("d2f2 a2f2|g2", "C|", "Bm"), ("dfa faf gec|", "9/8", "Amix")):
        prompt = tune(body, meter, key)
        (made,) = draw(tasks.go_on(prompt, Asked("AB", 2), "x.abc"), count=1)
        assert made.bars[0].notes == prompt.bars[0].notes
        assert {bar.key for bar in made.bars} == {prompt.bars[0].key}
        assert len(made.bars) == 4


def test_a_tie_of_the_begin_is_gone_on_with():
    for made in draw(tasks.go_on(tune("d2f a3-|a3 g3-|g2"), Asked("A", 4), "x.abc")):
        assert made.bars[0].notes[-1].tied
        assert made.bars[1].notes[-1].tied
    # Where the next bar is free, it begins with the pitch that is held, unless it is the last one.
    for made in draw(tasks.go_on(tune("d2f a3|a3 g3|"), Asked("A", 4), "x.abc")):
        assert not made.bars[1].notes[-1].tied


def test_signs_of_the_begin_say_its_form():
    prompt = tune(STRAIN)
    task = tasks.go_on(prompt, Asked(), "x.abc")
    for made in draw(task, count=2):
        assert notes(made.bars)[:5] == notes(prompt.bars)
        assert [bar.length for bar in made.bars[5:]] == [bar.length for bar in prompt.bars]
        assert made.bars[9].closes
    endings = tune("|:A|d2f a2f|g2e c2A|[1 d2f d2:|[2 d3 d2|]")
    for made in draw(tasks.go_on(endings, Asked(), "x.abc"), count=2):
        assert notes(made.bars)[:5] == notes(endings.bars)
        assert [sorted(bar.ending) for bar in made.bars] == 2 * [[], [], [], [1], [2]]
    alone = tune("d2f a2f|g2e c2A||d2f")
    for made in draw(tasks.go_on(alone, Asked(), "x.abc"), count=2):
        assert [bar.ends_section for bar in made.bars] == [False, True, False, False]


def test_without_a_grammar_the_begin_comes_as_it_is():
    task = tasks.go_on(tune(STRAIN), Asked(), "x.abc", in_form=False)
    kinds = [item.kind for item in task.items[:-1]]
    assert kinds[0] == vocabulary.LINES[False, True, False]
    assert task.items[-1] == grammar.Anything()
    assert sum(kind >= vocabulary.FIRST_NOTE for kind in kinds) == 1 + 4 * 4


def test_a_version_keeps_the_rhythm():
    prompt = tune(STRAIN)
    made = draw(tasks.version(prompt, "rhythm", "x.abc"))
    for one in made:
        assert [[note.length for note in bar.notes] for bar in one.bars] == [
            [note.length for note in bar.notes] for bar in prompt.bars
        ]
        assert (one.bars[0].opens, one.bars[-1].closes) == (True, True)
        assert (one.bars[-1].notes[-1].pitch - 62) % 12 == 0
    assert len({one.bars for one in made}) == len(made)


def test_a_version_of_a_strain_that_ends_with_a_rest():
    for one in draw(tasks.version(tune("d2f a2f|g2e a3|z6|"), "rhythm", "x.abc")):
        assert [note.pitch for note in one.bars[-1].notes] == [None]
        assert [len(bar.notes) for bar in one.bars] == [4, 3, 1]
    with pytest.raises(UserError, match=r"x\.abc: its first strain has no notes; give another"):
        tasks.version(tasks.first_strain(tune("z6|z6:|d2f a2f|")), "rhythm", "x.abc")


def test_a_version_keeps_bars():
    prompt = tune(STRAIN)
    for one in draw(tasks.version(prompt, "0,1-2, 4", "x.abc")):
        assert [a == b for a, b in zip(notes(one.bars), notes(prompt.bars), strict=True)] == [
            True, True, True, False, True,
        ]  # fmt: skip
        assert one.bars[3].length == 6 * EIGHTH
    # It ends as the strain does, here on the fifth.
    for one in draw(tasks.version(tune("d2f a2f|g2e a3|"), "1", "x.abc")):
        assert one.bars[-1].notes[-1].pitch % 12 == 9


@pytest.mark.parametrize(
    ("body", "asked", "message"),
    [
        ("d6|" * 5, Asked("A", 4), "x.abc has 5 bars, and A has 4 as written"),
        ("d6|" * 4, Asked("A", 4), "x.abc fills the form A already"),
        ("d6|d3|d6|", Asked(), "bar 2 is 3/8 of a whole note long, and AABB has 3/4 there"),
        ("d6|d8|d6|", Asked(), "bar 2 is 1 of a whole note long"),
        ("d6|d6:|", Asked("AABB", 4), "bar 2 ends a strain, and that of AABB goes on"),
        ("|:d6|[1d6:|[2d6|", Asked("AABB", 8), "bar 2 begins an ending, and AABB has none there"),
        ("d6|[M:9/8]d9|", Asked(), "the meter changes in bar 2"),
        ("d6|[K:G]d6|", Asked(), "the key changes in bar 2"),
        ("A|d6|", Asked(pickup=2 * EIGHTH), "begins with 1/8, not with --pickup=1/4"),
        ("d6|", Asked("AAxB"), "--form: 'AAxB' is no form"),
    ],
)
def test_begins_that_do_not_fit(body, asked, message):
    with pytest.raises(UserError, match=message):
        tasks.go_on(tune(body), asked, "x.abc")


def test_meters_without_bars_to_fill():
    with pytest.raises(UserError, match="x.abc is in free meter"):
        tasks.go_on(tune("d6|", meter="none"), Asked(), "x.abc")
    with pytest.raises(UserError, match="x.abc is in 11/8, which models do not know"):
        tasks.go_on(tune("d11|", meter="11/8"), Asked(), "x.abc")


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("x", "--keep=x: no bars of a strain of 4"), ("3-5", "no bars of a strain of 4"),
        ("4-3", "no bars"), ("1-4", "keeps all 4 bars"),
    ],
)  # fmt: skip
def test_bars_that_cannot_be_kept(keep, message):
    with pytest.raises(UserError, match=message):
        tasks.version(tune(STRAIN), keep, "x.abc")


def test_a_version_of_a_strain_with_endings():
    with pytest.raises(UserError, match="a strain with endings cannot be written"):
        tasks.version(tune("|:d6|[1d6:|[2d6|"), "rhythm", "x.abc")


def test_the_first_strain_of_a_tune():
    prompt = tune(STRAIN + "|:f3 f3|e6:|")
    assert len(tasks.first_strain(prompt).bars) == 5
    assert tasks.count_bars(tasks.first_strain(prompt).bars) == 4
    assert len(tasks.first_strain(tune("|:d6|[1d6:|[2d6||d6|")).bars) == 3
