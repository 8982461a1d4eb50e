import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from models import tune_lm
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens import context, steps, vocabulary, written
from pipelines.representations.abc_tokens.vocabulary import KINDS, NO_PITCH, PITCHES
from pipelines.systems.tune_lm import decoding, forms, grammar
from pipelines.systems.tune_lm.decoding import Request, Sampling

pytestmark = pytest.mark.keras3

GIVEN = steps.Given((6, 8), written.Key(2, "DORIAN"), "jig")
JIG = forms.form("AA'BB", 2, (6, 8), WHOLE // 8)


class Fixed:
    """A model whose logits are always the same; its state counts the steps."""

    def __init__(self, kinds=None, pitches=None):
        self.kinds = np.zeros(KINDS, np.float32) if kinds is None else kinds
        self.pitches = np.zeros(PITCHES, np.float32) if pitches is None else pitches

    def initial_state(self, batch, longest):
        return [ops.zeros((), "int32")]

    def step(self, rows, state):
        return ops.cast(rows, "float32"), [state[0] + 1]

    def kind_logits(self, hidden):
        return ops.broadcast_to(self.kinds, (ops.shape(hidden)[0], KINDS))

    def pitch_logits(self, hidden, kinds):
        return ops.broadcast_to(self.pitches, (ops.shape(hidden)[0], PITCHES))


def network(name):
    shape = {"lstm": {"depth": 2}, "transformer": {"depth": 2, "heads": 2}}[name]
    tf.keras.utils.set_random_seed(1)
    return tune_lm.NETWORKS[name](
        columns=context.COLUMNS, kinds=KINDS, pitches=PITCHES, units=16, embedding=4, dropout=0.5,
        **shape,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_tunes_of_a_model_are_of_their_form_and_the_same_again(name):
    model = network(name)
    of = grammar.compiled([grammar.items(JIG)])
    requests = [Request(GIVEN)] * 5
    first = list(decoding.draw(model, of, requests, Sampling(seed=3)))
    lengths = [bar.length for bar in JIG.bars]
    for tokens in first:
        made = steps.decode(tokens, GIVEN)
        assert [bar.length for bar in made.bars] == lengths
        assert (made.bars[-1].notes[-1].pitch - 62) % 12 == 0
    assert len({tuple(tokens) for tokens in first}) == 5
    assert list(decoding.draw(model, of, requests, Sampling(seed=3))) == first
    assert list(decoding.draw(model, of, requests, Sampling(seed=4))) != first


def test_the_graph_follows_the_tables_as_numpy_does():
    programs = [grammar.items(JIG), grammar.items(forms.form("ABA", 2, (3, 4)))]
    of = grammar.compiled(programs)
    numbers = [0, 1] * 8
    requests = [Request(GIVEN, number) for number in numbers]
    drawn = list(decoding.draw(Fixed(), of, requests, Sampling(seed=1)))
    for number, tokens in zip(numbers, drawn, strict=True):
        place = of.begin(np.array([number]))
        for token in tokens:
            kind, pitch = vocabulary.kind_and_pitch(token)
            assert of.kinds(np, place)[0, kind]
            assert pitch == NO_PITCH or of.pitches_of(np, place, np.array([kind]))[0, pitch]
            place = of.step(np, place, np.array([kind]), np.array([pitch]))
        assert tokens[-1].what == vocabulary.END


def test_tunes_that_do_not_end_are_given_up(monkeypatch):
    monkeypatch.setattr(decoding, "LONGEST", 30)
    never = np.zeros(KINDS, np.float32)
    never[vocabulary.END] = -100
    of = grammar.compiled([[grammar.Anything()]])
    (tokens,) = decoding.draw(Fixed(never), of, [Request(GIVEN)])
    assert len(tokens) == 30
    assert all(token.what != vocabulary.END for token in tokens)


def test_a_tune_does_not_depend_on_those_beside_it(monkeypatch):
    of = grammar.compiled([grammar.items(JIG)])
    whole = list(decoding.draw(Fixed(), of, [Request(GIVEN)] * 5, Sampling(seed=3)))
    monkeypatch.setattr(decoding, "_BATCH", 2)
    assert list(decoding.draw(Fixed(), of, [Request(GIVEN)] * 5, Sampling(seed=3))) == whole


LOGITS = np.log(np.array([[0.1, 0.5, 0.15, 0.25]], np.float32))
ALL = np.ones((1, 4), bool)


def chosen(number, allowed=ALL, **how):
    rows = decoding.choose(
        tf.constant(LOGITS),
        tf.constant(allowed),
        tf.constant([number], tf.float32),
        Sampling(**how),
    )
    return int(rows[0])


def test_a_number_says_which_outcome_is_drawn():
    """The outcomes end at 0.1, 0.6, 0.75 and 1."""
    assert [chosen(number) for number in (0, 0.09, 0.11, 0.59, 0.61, 0.74, 0.76, 0.999999)] == [
        0, 0, 1, 1, 2, 2, 3, 3,
    ]  # fmt: skip
    # Without the likeliest they end at 0.2, 0.5 and 1.
    some = np.array([[True, False, True, True]])
    assert [chosen(number, some) for number in (0.19, 0.21, 0.49, 0.51)] == [0, 2, 2, 3]
    only = np.array([[False, False, True, False]])
    assert [chosen(number, only) for number in (0, 0.5, 0.999999)] == [2, 2, 2]


def test_temperature_top_k_and_top_p():
    # Squares of the probabilities: 0.01, 0.25, 0.0225, 0.0625 of 0.345.
    assert [chosen(n, temperature=0.5) for n in (0.028, 0.03, 0.75, 0.76, 0.81, 0.83)] == [
        0, 1, 1, 2, 2, 3,
    ]  # fmt: skip
    assert {chosen(n, temperature=1e-6) for n in (0, 0.5, 0.999999)} == {1}
    # Of the two likeliest the first has 2/3.
    assert [chosen(n, top_k=2) for n in (0, 0.66, 0.67, 0.999999)] == [1, 1, 3, 3]
    assert {chosen(n, top_k=1) for n in (0, 0.5, 0.999999)} == {1}
    # 0.5 is enough for 0.5, not for 0.51; with the next it is 0.75, and three are 0.9.
    assert {chosen(n, top_p=0.5) for n in (0, 0.5, 0.999999)} == {1}
    assert [chosen(n, top_p=0.51) for n in (0, 0.66, 0.67, 0.999999)] == [1, 1, 3, 3]
    assert {chosen(n / 20, top_p=0.8) for n in range(20)} == {1, 2, 3}


def test_repetition_makes_what_followed_before_less_likely():
    """In bars of eighths alone on two pitches the passages before recur at once."""
    pitches = np.full(PITCHES, -100, np.float32)
    pitches[[-vocabulary.LOWEST, 7 - vocabulary.LOWEST]] = 0
    form = forms.form("A", 16, (4, 4))
    of = grammar.compiled([grammar.items(form)], (WHOLE // 8,))
    kinds = np.zeros(KINDS, np.float32)
    kinds[vocabulary.FIRST_REST : vocabulary.FIRST_NOTE] = -100
    again = []
    for repetition in (1e-3, 1.0, 1e3):
        requests = [Request(steps.Given((4, 4), written.Key(0, "MAJOR")))] * 4
        drawn = decoding.draw(
            Fixed(kinds, pitches), of, requests, Sampling(seed=2, repetition=repetition)
        )
        again.append(sum(map(_times_again, drawn)))
    assert again[0] > 2 * again[1]
    assert again[1] > 2 * again[2]


def _times_again(tokens):
    """How often eight tokens and the note after them stood together before."""
    seen: set[tuple] = set()
    count = 0
    for at in range(len(tokens) - 8):
        passage = tuple(tokens[at : at + 9])
        if passage[-1].what >= vocabulary.SIGNS:
            count += passage in seen
        seen.add(passage)
    return count
