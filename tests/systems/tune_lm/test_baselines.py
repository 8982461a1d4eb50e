import pytest

from pipelines.examples.written_tunes import Tune
from pipelines.music.abc.notation import notate
from pipelines.representations.abc_tokens import steps, vocabulary, written
from pipelines.systems.tune_lm import baselines, measure
from tests.support import tunebooks
from tests.support.abc_reading import tune_of


@pytest.fixture(scope="module")
def tunes():
    made = []
    for number, tune in enumerate(tunebooks.tunes(seed=1, count=30)):
        first, second = tune.strains
        text = tunebooks.abc(number, tune.title, [*first[:32], *first[:32], *second[:32]])
        read = written.from_score(notate(tune_of(text)))
        of = steps.given(read)
        made.append(Tune(f"book.abc/{number}", "", "train", number, of, steps.encode(read)))
    return made


def test_the_base_is_a_distribution_and_knows_the_parts_of_tokens(tunes):
    base = baselines.base(tunes)
    assert base.shape == (vocabulary.SIZE,)
    assert base.sum() == pytest.approx(1)
    assert base.min() > 0
    eighth, half = (
        base[vocabulary.joined(vocabulary.sound(0, length, False))]
        for length in (vocabulary.WHOLE // 8, vocabulary.WHOLE // 2)
    )
    assert eighth > 100 * half  # All notes are eighths.


def test_the_baselines_in_their_order(tunes):
    """Random walks: neighbours say something of the next note; a repeated strain says it all."""
    fitted = baselines.fit(tunes[:20], tunes[20:25])
    test = tunes[25:]
    notes = sum(tune.steps.is_note.sum() for tune in test)
    paid = {
        name: sum(measure.bits(price(tune)).sum() for tune in test) / notes
        for name, price in fitted.items()
    }
    assert list(paid) == [baselines.UNIGRAM, baselines.KNESER_NEY, baselines.WITH_PPM]
    assert paid["unigram"] > paid["kneser_ney"] + 0.3 > paid["kneser_ney+ppm"] + 0.6


def test_a_tune_begins_with_its_meter_and_mode(tunes):
    begins = {
        baselines.begin(tunes[0]._replace(given=steps.Given(meter, written.Key(2, mode))))
        for meter in vocabulary.METERS
        for mode in vocabulary.MODES
    }
    assert len(begins) == len(vocabulary.METERS) * len(vocabulary.MODES)
    assert min(begins) == vocabulary.SIZE
