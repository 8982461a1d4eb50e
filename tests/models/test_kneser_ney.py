import numpy as np
import pytest

from models.kneser_ney import KneserNey

BEGIN = 9
UNIFORM = np.full(3, 1 / 3)


def test_bigrams_by_hand():
    """Sequences aab and ab, so n-grams <a, aa, ab, <a, ab: counts <a 2, aa 1, ab 2.

    One n-gram has count 1 and two have 2: Y = 1/5, D1 = 1 - 2 * 1/5 * 2 = 0.2, D2 = 0.5 * 2 ... has
    no count of 3, so it is 0.5. As continuations a follows < and a (2), b follows a (1): Y = 1/3,
    D1 = 1 - 2/3 = 1/3, D2 = 0.5.
    """
    model = KneserNey([(BEGIN, [0, 0, 1]), (BEGIN, [0, 1])], UNIFORM, order=2)
    np.testing.assert_allclose(model.discounts[1][1:], [0.2, 0.5, 0.5])
    np.testing.assert_allclose(model.discounts[0][1:], [1 / 3, 0.5, 0.5])
    backoff = (0.5 + 1 / 3) / 3
    a = (2 - 0.5) / 3 + backoff / 3
    b = (1 - 1 / 3) / 3 + backoff / 3
    c = backoff / 3
    np.testing.assert_allclose(model.distribution(BEGIN, []), [
        (2 - 0.5) / 2 + 0.25 * a, 0.25 * b, 0.25 * c,
    ])  # fmt: skip
    after_a = (0.2 + 0.5) / 3
    expected = [(1 - 0.2) / 3 + after_a * a, (2 - 0.5) / 3 + after_a * b, after_a * c]
    np.testing.assert_allclose(model.distribution(BEGIN, [0]), expected)
    # Nothing was seen after b, and another begin was never seen: the unigrams.
    np.testing.assert_allclose(model.distribution(BEGIN, [0, 1]), [a, b, c])
    np.testing.assert_allclose(model.distribution(BEGIN + 1, []), [a, b, c])


def test_probabilities_sum_to_one_and_are_those_of_the_distribution():
    rng = np.random.default_rng(1)
    size = 12
    base = rng.dirichlet(np.ones(size))
    sequences = [
        (size + i % 2, np.minimum(rng.geometric(0.3, size=30), size - 2).tolist())
        for i in range(40)
    ]
    model = KneserNey(sequences, base, order=5)
    for begin, tokens in [*sequences[:3], (size + 2, [size - 1, 3, 3, size - 1, 1])]:
        probabilities = model.probabilities(begin, tokens)
        for i, token in enumerate(tokens):
            distribution = model.distribution(begin, tokens[:i])
            assert distribution.sum() == pytest.approx(1)
            assert distribution.min() > 0  # A token that was never seen has a price.
            assert probabilities[i] == pytest.approx(distribution[token])


def test_against_an_independent_computation():
    """Trigrams from their definition in sums over all sequences, without any table of contexts."""
    rng = np.random.default_rng(2)
    sequences = [(5, rng.integers(0, 4, size=12).tolist()) for _ in range(30)]
    base = np.full(5, 0.2)
    model = KneserNey(sequences, base, order=3)
    texts = [[begin, *tokens] for begin, tokens in sequences]
    grams = [tuple(text[i : i + 3]) for text in texts for i in range(len(text) - 2)]

    def count(gram):
        """How often it occurs; of shorter ones that begin no text, after how many tokens."""
        if len(gram) == 3:
            return grams.count(gram)
        if gram[0] == 5:
            return sum(tuple(text[: len(gram)]) == gram for text in texts)
        longer = {
            (*text[i - 1 : i], *gram)
            for text in texts
            for i in range(1, len(text))
            if tuple(text[i : i + len(gram)]) == gram
        }
        return len(longer)

    def probability(context, token):
        if context is None:
            return 0.2
        counts = [count((*context, other)) for other in range(5)]
        shorter = probability(context[1:] if context else None, token)
        if not sum(counts):
            return shorter
        taken = [model.discounts[len(context)][min(each, 3)] for each in counts]
        kept = counts[token] - taken[token]
        return kept / sum(counts) + sum(taken) / sum(counts) * shorter

    for tokens in ([], [0], [0, 1], [1, 2, 3], [3, 3, 3, 4]):
        history = (5, *tokens)
        found = model.distribution(5, tokens)
        expected = [probability(history[-2:], token) for token in range(5)]
        np.testing.assert_allclose(found, expected)


def test_a_base_without_a_price_for_each_token_is_refused():
    with pytest.raises(ValueError, match="no distribution"):
        KneserNey([(BEGIN, [0])], np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="at least one"):
        KneserNey([(BEGIN, [0])], UNIFORM, order=0)
