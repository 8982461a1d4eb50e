"""Titles for tunes and tunes for words, with a small run: what is found, and what goes wrong."""

import hashlib
import json
import os
import pathlib
import random
import shutil

import numpy as np
import pytest
import tensorflow as tf

from pipelines.media import pieces
from pipelines.music.abc import reader, tunebook
from pipelines.music.note_sequence import NoteSequence
from pipelines.records.manifest import open_records
from pipelines.representations import scale_degrees
from pipelines.runtime.app import UserError
from pipelines.systems.titles import baselines, index, matching, neighbours, towers
from pipelines.systems.titles import tunes as titled_tunes
from pipelines.systems.titles.matching import Matcher
from pipelines.systems.titles.text_encoders import builtin, loading
from tests.support import titled
from tests.support.datasets import write
from tests.support.titled import LADDIE, SCALE, one_line, randomly, sequence, tune, written

# The run that they share takes ten seconds to make.
pytestmark = [pytest.mark.keras3, pytest.mark.slow]


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    return titled.make(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def matcher(made):
    return Matcher(str(made.run))


@pytest.fixture
def run_copy(made, tmp_path):
    """A copy of the run, for tests that change it."""
    return pathlib.Path(shutil.copytree(made.run, tmp_path / "elsewhere" / "run"))


def piece(abc=None):
    """A tune of the tunebook's kind."""
    (text,) = tunebook.tunes(abc or tune(1, "Nameless", notes=titled.music(99)))
    return reader.read(text)


def snapshot(folder):
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in sorted(pathlib.Path(folder).rglob("*"))
    }


# Titles for tunes


def test_a_training_tune_finds_titles(matcher):
    found = matcher.match(piece(), top_k=7)
    scores = [each.score for each in found]
    assert len(found) == len({each.title for each in found}) == 7
    assert scores == sorted(scores, reverse=True) and np.isfinite(scores).all()
    # A cosine, and ten times a similarity.
    assert all(-1.0001 <= score <= 11.0001 for score in scores)
    assert all(each.existing for each in found)


def test_all_titles_are_there_once(matcher):
    found = [each.title for each in matcher.match(piece(), top_k=1000)]
    plain = {f"The {one}'s {other}" for one in titled.PEOPLE for other in titled.THINGS}
    # Alternatives are shown together, and of two spellings one.
    maid = {"The Maid's Fancy", "Maid's Fancy, The"} & set(found)
    assert len(maid) == 1 and len(plain) == 40
    assert sorted(found) == sorted([*plain, *maid, LADDIE, titled.IRISH])


def test_a_transposed_tune_finds_the_same(matcher):
    original, moved = piece(), piece()
    for note in moved.notes:
        note.pitch += 4
    for signature in moved.key_signatures:
        signature.key = (signature.key + 4) % 12
    assert matcher.match(moved) == matcher.match(original)


def test_one_title_for_ten(made, tmp_path):
    path = written(tmp_path / "list.txt", "Ó Cathail's Áirde 🎻")
    (found,) = Matcher(str(made.run), path).match(piece(), top_k=10)
    assert found.title == "Ó Cathail's Áirde 🎻" and not found.existing
    assert np.isfinite(found.score)


def test_what_exists_is_marked_and_left_out(made, tmp_path):
    path = written(
        tmp_path / "list.txt",
        "THE MAIDS FANCY\nA Brand Like No Other\nThe Afterthought, or Mullindough\n"
        "The Goose, or the Gander\nAn Owl\nBrand Like No Other\n",
    )
    taken = written(tmp_path / "taken.txt", "Owl, An (reel)\r\n🎻\r\n\r\n")
    other = written(tmp_path / "other.txt", "Gander\n".encode("utf-16"))
    chooser = Matcher(str(made.run), path, taken_paths=[taken, other])
    found = {each.title: each.existing for each in chooser.match(piece())}
    assert found == {
        "THE MAIDS FANCY": True,
        "A Brand Like No Other": False,
        # One of its alternatives does; it is there once.
        "The Afterthought, or Mullindough": True,
        "The Goose, or the Gander": True,
        "An Owl": True,
    }
    assert len(chooser.match(piece())) == 5
    assert [each.title for each in chooser.match(piece(), 10, True)] == ["A Brand Like No Other"]
    assert [each.title for each in chooser.match(piece(), 1, True)] == ["A Brand Like No Other"]


def training_tunes(made):
    return titled_tunes.read(open_records(made.examples)).titled().tunes


def test_scores_are_those_that_are_measured(matcher, made):
    """`match` and `search` rank by what `evaluate` and the experiment measure."""
    training = training_tunes(made)
    trained, _ = towers.open_run(str(made.run), keep_embeddings=False)
    both = neighbours.Together(trained, baselines.NearestNeighbour(training))
    sequence = piece()
    unknown = titled_tunes.Tune("", (), scale_degrees.read(sequence), None, (), "", "", "", "")
    texts = {title.shown: title.text for tune in training for title in tune.titles}
    found = matcher.match(sequence, top_k=20)
    expected = both.scores([unknown], [texts[each.title] for each in found])[0]
    np.testing.assert_allclose([each.score for each in found], expected, atol=2e-5)
    assert len({round(each.score, 3) for each in found}) > 15


def test_the_title_of_the_same_notes_is_first(matcher):
    # The second tune of the book, under a title that names none.
    known = piece(tune(1, "Nameless", notes=titled.music(2, meter="3/4"), meter="3/4"))
    first, second = matcher.match(known, top_k=2)
    assert first.title == "The Miller's Hat" and first.existing
    # Titles that are spelt alike come next.
    assert first.score > 9 > second.score


def test_a_search_compares_with_the_titles_of_similar_tunes(made, tmp_path):
    training = training_tunes(made)
    trained, _ = towers.open_run(str(made.run), keep_embeddings=False)
    both = neighbours.Together(trained, baselines.NearestNeighbour(training))
    # Other ids: these tunes are in the run, and may be neighbours of themselves.
    records = [sequence(name=f"x{seed}", pitches=randomly(seed)) for seed in range(3)]
    path = write(tmp_path / "more.tfrecord", records)
    searched = titled_tunes.read(open_records(path)).tunes
    expected = both.scores(searched, ["sailor"])[:, 0]
    found = matching.search(str(made.run), "sailor", examples_path=path)
    order = np.argsort(-expected, kind="stable")
    assert [entry["id"] for _, entry in found] == [searched[at].id for at in order]
    np.testing.assert_allclose([score for score, _ in found], expected[order], atol=2e-5)


def without_neighbours(folder):
    """Makes an index of tunes such as earlier versions wrote."""
    about = json.loads((folder / index.ABOUT).read_text())
    opened = index.open_index(folder, "tunes", None)
    old = [
        {name: value for name, value in entry.items() if name not in ("near", "melody")}
        for entry in opened.entries()
    ]
    index.write(folder, "tunes", np.array(opened.vectors), old, about["made_with"])


def test_an_index_of_an_earlier_version_is_searched_by_the_towers_alone(run_copy, made, capsys):
    without_neighbours(run_copy / "index" / "tunes")
    trained, _ = towers.open_run(str(run_copy), keep_embeddings=False)
    vector = trained.tune_vectors([scale_degrees.read(piece())])[0]
    titles = matching.open_run_index(str(run_copy), "titles", trained)
    found = Matcher(str(run_copy)).match(piece(), top_k=5)
    assert [each.score for each in found] == [score for score, _ in titles.search(vector, 5)]
    assert "the towers alone rank; give its `titles train` command" in capsys.readouterr().err
    tunes = matching.open_run_index(str(run_copy), "tunes", trained)
    expected = tunes.search(trained.title_vectors(["waltz"])[0], 10)
    assert [score for score, _ in matching.search(str(run_copy), "waltz")] == [
        score for score, _ in expected
    ]
    assert not matching.has_run_index(str(run_copy))
    # As the same `titles train` command does.
    matching.write_run_index(str(run_copy), trained, training_tunes(made))
    assert matching.has_run_index(str(run_copy))
    assert Matcher(str(run_copy)).match(piece()) == Matcher(str(made.run)).match(piece())


def test_more_titles_than_are_compared_by_their_letters(made, tmp_path, monkeypatch):
    """The highest cosines are, and the order is the same where all are."""
    lines = "".join(f"The {one} Goose of {two}\n" for one in titled.PEOPLE for two in titled.THINGS)
    path = written(tmp_path / "list.txt", lines)
    everything = Matcher(str(made.run), path).match(piece(), top_k=40)
    monkeypatch.setattr(matching, "_RANKED", 39)
    assert Matcher(str(made.run), path).match(piece(), top_k=40) == everything
    monkeypatch.setattr(matching, "_RANKED", 10)
    few = Matcher(str(made.run), path).match(piece(), top_k=3)
    assert len(few) == 3 and set(few) <= set(everything)


def test_a_possessive_is_part_of_a_title(made, tmp_path):
    """However it is written: the player of the reel is not yet the name of a tune."""
    path = written(tmp_path / "list.txt", "Pat Carney\nPat Carneys\nCarney's\nPat Carney’s Reel\n")
    taken = written(tmp_path / "taken.txt", "PAT CARNEY'S\nPAT CARNEY'S -- REEL.\n")
    found = Matcher(str(made.run), path, taken_paths=[taken]).match(piece())
    assert {each.title: each.existing for each in found} == {
        "Pat Carney": False,
        "Pat Carneys": True,
        "Carney's": False,
        "Pat Carney’s Reel": True,
    }


def test_a_title_whose_other_name_is_another_line_is_taken_with_it(made, tmp_path):
    path = written(tmp_path / "list.txt", "The Maid's Fancy\nThe Goose, or the Maid's Fancy\n")
    chooser = Matcher(str(made.run), path)
    assert [each.existing for each in chooser.match(piece())] == [True, True]
    with pytest.raises(UserError, match="all titles to choose from are taken"):
        chooser.match(piece(), exclude_existing=True)


def test_everything_taken(matcher, made, tmp_path):
    with pytest.raises(UserError, match="all titles .* are taken; give others by --titles"):
        matcher.match(piece(), exclude_existing=True)
    path = written(tmp_path / "list.txt", "The Goose\n")
    with pytest.raises(UserError, match="are taken"):
        Matcher(str(made.run), path, taken_paths=[path]).match(piece(), exclude_existing=True)


def test_lists_that_do_not_do(made, tmp_path):
    run = str(made.run)
    binary = written(tmp_path / "binary", bytes(range(256)))
    for kwargs in ({"titles_path": binary}, {"taken_paths": [binary]}):
        with pytest.raises(UserError, match="binary is not text"):
            Matcher(run, **kwargs)
    with pytest.raises(UserError, match="no title in it"):
        Matcher(run, written(tmp_path / "empty", ""))
    with pytest.raises(UserError, match="--index keeps the index of --titles"):
        Matcher(run, index_dir=str(tmp_path / "kept"))
    with pytest.raises(FileNotFoundError):
        Matcher(run, taken_paths=[str(tmp_path / "none")])


def test_a_kept_index_gives_the_same(made, tmp_path):
    path = written(tmp_path / "list.txt", "The Goose\nThe Gander\nThe Owl\n")
    kept = str(tmp_path / "kept")
    first = Matcher(str(made.run), path).match(piece())
    assert Matcher(str(made.run), path, kept).match(piece()) == first
    assert Matcher(str(made.run), path, kept).match(piece()) == first


@pytest.mark.parametrize("pitches, is_drum", [((), False), ((60,), False), (SCALE, True)])
def test_no_melody(matcher, pitches, is_drum):
    with pytest.raises(scale_degrees.NoMelodyError, match="too few notes"):
        matcher.match(sequence(pitches=pitches, is_drum=is_drum))


def test_chords_are_said(matcher, capsys):
    made = sequence(name="chords.mid")
    alone = matcher.match(made)
    for note in list(made.notes):
        made.notes.add(pitch=note.pitch - 12, start_time=note.start_time, end_time=note.end_time)
    assert matcher.match(made) == alone
    assert "chords.mid: 8 notes begin together with a higher one" in capsys.readouterr().err


@pytest.mark.parametrize("meter", [(4, 4), (6, 8), (3, 4), (9, 8)])
@pytest.mark.parametrize("seed", range(4))
def test_midi_and_abc_of_a_generated_tune_find_nearly_the_same(matcher, tmp_path, seed, meter):
    # As the decoders write it: sixteenths, rests between, no key.
    rng = random.Random(seed)
    made = NoteSequence(id="generated", ticks_per_quarter=220)
    made.tempos.add(qpm=100)
    made.time_signatures.add(numerator=meter[0], denominator=meter[1])
    sixteenth, at = 0.15, rng.choice([0, 2, 5])
    for pitch in randomly(seed, 60):
        length = rng.choice([1, 2, 2, 2, 3, 4, 6])
        made.notes.add(
            pitch=pitch, velocity=80, start_time=at * sixteenth, end_time=(at + length) * sixteenth
        )
        at += length + rng.choice([0, 0, 0, 0, 1, 2])
    made.total_time = made.notes[-1].end_time
    pieces.write(made, str(tmp_path / "g.mid"), draw=False)
    (abc,) = titled_tunes.of_file(str(tmp_path / "g.abc"))
    (midi,) = titled_tunes.of_file(str(tmp_path / "g.mid"))
    by_title = {each.title: each.score for each in matcher.match(midi, top_k=100)}
    for each in matcher.match(abc, top_k=100):
        assert by_title[each.title] == pytest.approx(each.score, abs=0.02)


# Tunes for words


def test_tunes_are_found_and_nothing_is_written(made):
    before = snapshot(made.run)
    found = matching.search(str(made.run), "a lively waltz about Ó Néill", top_k=8)
    assert snapshot(made.run) == before
    scores = [score for score, _ in found]
    assert len(found) == len({tune["id"] for _, tune in found}) == 8
    assert scores == sorted(scores, reverse=True) and np.isfinite(scores).all()
    everything = matching.search(str(made.run), "waltz", top_k=1000)
    assert len({tune["id"] for _, tune in everything}) == len(everything) == 44
    assert [LADDIE] in [tune["titles"] for _, tune in everything]


def test_folded_words_find_the_same(made):
    found = matching.search(str(made.run), "-Ó NÉILL’S  cáit 🎻\n")
    assert found == matching.search(str(made.run), "o'neill's cait")


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "has no word in it"),
        (" \t\n", "has no word in it"),
        ("🎻🎶", "has no word in it"),
        ("🎻 / 🎶; 🎻", "has no word in it"),
        ("\ud800", "has no word in it"),
        ("reel " * 41, "has 204 characters; search for at most 200"),
        ("x" * 10_000, "10000 characters"),
        # Deeper than Python's stack, if it were taken apart.
        (", no 1" * 5000, "29999 characters|30000 characters"),
    ],
)
def test_texts_that_do_not_do(made, text, message):
    with pytest.raises(UserError, match=message) as error:
        matching.search(str(made.run), text)
    one_line(error)


def test_other_records(made, tmp_path):
    path = write(tmp_path / "r.tfrecord", [sequence(name="only", pitches=randomly(1))])
    ((score, found),) = matching.search(str(made.run), "waltz", 10, path)
    assert found["id"] == "only" and found["titles"] == [] and np.isfinite(score)
    kept = str(tmp_path / "kept")
    for _ in range(2):
        assert matching.search(str(made.run), "waltz", 10, path, kept) == [(score, found)]
    with pytest.raises(UserError, match="--index keeps the index of --examples_path"):
        matching.search(str(made.run), "waltz", index_dir=kept)
    with pytest.raises(UserError, match="no file matches"):
        matching.search(str(made.run), "waltz", 10, str(tmp_path / "none*"))


# Runs


def test_a_moved_run_works(run_copy, made):
    assert Matcher(str(run_copy)).match(piece()) == Matcher(str(made.run)).match(piece())
    assert matching.search(str(run_copy), "waltz") == matching.search(str(made.run), "waltz")


def test_a_run_that_may_not_be_written_to_names_tunes(run_copy, tmp_path, monkeypatch, capsys):
    path = written(tmp_path / "list.txt", "A Name That Was Never Seen\n")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    # Lists are kept by --index, not in the run.
    monkeypatch.setattr("pipelines.systems.titles.embeddings._write_part", refuse)
    before = snapshot(run_copy)
    assert len(Matcher(str(run_copy), path).match(piece())) == 1
    assert snapshot(run_copy) == before
    assert "not kept" not in capsys.readouterr().err


def fails(run, message):
    with pytest.raises(UserError, match=message) as error:
        Matcher(str(run))
    assert str(run) in one_line(error)


def both_fail(run, message):
    fails(run, message)
    with pytest.raises(UserError, match=message):
        matching.search(str(run), "waltz")


def test_folders_that_are_no_run(tmp_path):
    both_fail(tmp_path / "none", "has no run.json")
    (tmp_path / "music" / "train").mkdir(parents=True)
    (tmp_path / "music" / "train" / "run.json").write_text('{"config": "x", "hparams": {}}')
    both_fail(tmp_path / "music", "is a run of musicvae, not of titles")
    shutil.copy(tmp_path / "music" / "train" / "run.json", tmp_path / "music" / "run.json")
    both_fail(tmp_path / "music", "is a run of musicvae, not of titles")
    (tmp_path / "music" / "run.json").write_text('{"kind": "other"}')
    both_fail(tmp_path / "music", "is a run of other, not of titles")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"kind": "titles"}', b"\xff\xfe{}"])
def test_a_damaged_run_json(run_copy, text):
    (run_copy / "run.json").write_bytes(text)
    both_fail(run_copy, r"run.json( is damaged|: not JSON|: not a JSON object)")


def test_a_run_json_that_lacks_something(run_copy):
    whole = json.loads((run_copy / "run.json").read_text())
    encoder = whole["text_encoder"]
    for changed in [
        {**whole, "hparams": {"no such": 1}},
        {**whole, "text_encoder": "builtin"},
        {name: value for name, value in whole.items() if name != "finished"},
        {**whole, "text_encoder": {**encoder, "fingerprint": None}},
        {**whole, "text_encoder": {"fingerprint": encoder["fingerprint"]}},
    ]:
        (run_copy / "run.json").write_text(json.dumps(changed))
        with pytest.raises(UserError) as error:
            Matcher(str(run_copy))
        one_line(error)


def test_a_run_that_is_not_finished(run_copy):
    whole = json.loads((run_copy / "run.json").read_text())
    (run_copy / "run.json").write_text(json.dumps({**whole, "finished": False}))
    both_fail(run_copy, "its training has not ended")


def test_what_a_run_lacks(run_copy):
    shutil.move(run_copy / "index", run_copy / "away")
    both_fail(run_copy, "holds no index")
    shutil.move(run_copy / "away", run_copy / "index")
    (name,) = (run_copy / "train").glob("ckpt-*.index")
    shutil.move(name, run_copy / "away")
    fails(run_copy, "has no checkpoint")
    shutil.move(run_copy / "away", name)
    (data,) = (run_copy / "train").glob("ckpt-*.data*")
    data.write_bytes(data.read_bytes()[:1000])
    fails(run_copy, "is damaged")
    shutil.rmtree(run_copy / "text_encoder")
    fails(run_copy, "text_encoder, the text encoder of .* is missing; restore it")
    assert not (run_copy / "text_encoder").exists()


def test_another_text_encoder(run_copy):
    shutil.rmtree(run_copy / "text_encoder")
    builtin.export(["a sad waltz", "the sad jig", "a jig"], run_copy / "text_encoder")
    fails(run_copy, "another text encoder than the one that")


class Writing(tf.Module):
    """A text encoder that writes a file wherever it is used."""

    def __init__(self, path):
        super().__init__()
        self.path = str(path)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts):
        with tf.control_dependencies([tf.io.write_file(self.path, "was here")]):
            return tf.ones([tf.size(texts), 4])


def test_another_text_encoder_is_not_even_loaded(run_copy, tmp_path):
    shutil.rmtree(run_copy / "text_encoder")
    tf.saved_model.save(Writing(tmp_path / "mark"), run_copy / "text_encoder")
    fails(run_copy, "another text encoder than the one that")
    assert not (tmp_path / "mark").exists()


def test_a_run_from_elsewhere_needs_a_word_of_trust_once(run_copy, tmp_path):
    shutil.rmtree(run_copy / "text_encoder")
    tf.saved_model.save(Writing(tmp_path / "mark"), run_copy / "text_encoder")
    about = json.loads((run_copy / "run.json").read_text())
    about["text_encoder"]["fingerprint"] = loading.fingerprint(str(run_copy / "text_encoder"))
    about["text_encoder"]["dimensions"] = 4
    (run_copy / "run.json").write_text(json.dumps(about))
    both_fail(run_copy, "was not trained here, and its text encoder is a program .* give --trust")
    assert not (tmp_path / "mark").exists()
    towers.trust_run(str(run_copy))
    towers.open_embeddings(str(run_copy), about["text_encoder"], keep=False)
    assert (tmp_path / "mark").read_text() == "was here"


def test_a_run_from_elsewhere_makes_nothing_be_downloaded(run_copy, monkeypatch):
    about = json.loads((run_copy / "run.json").read_text())
    about["text_encoder"].update(name="https://example.org/evil/1", fingerprint=f"sha256:{1:064x}")
    (run_copy / "run.json").write_text(json.dumps(about))
    monkeypatch.setattr(loading, "load", lambda *_: pytest.fail("loaded"))
    both_fail(run_copy, "give --trust")


def test_one_changed_byte_is_another_text_encoder(run_copy):
    # TensorFlow itself notices a change of the other files.
    path = run_copy / "text_encoder" / "fingerprint.pb"
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    fails(run_copy, "another text encoder than the one that")


def as_of_an_earlier_version(run, fingerprint=None):
    """Gives a run the kind of fingerprint that runs had before: numbers that the encoder gave."""
    fingerprint = fingerprint or "256 e671f8f11f0168ae29b27ac48e4aceec 0.571,-0.590,-1.219"
    found = json.loads((run / "run.json").read_text())
    hashed = found["text_encoder"]["fingerprint"]
    assert loading.is_hash(hashed)
    for path in (
        run / "run.json",
        run / "embeddings" / "encoder.json",
        *(run / "index").glob("*/index.json"),
    ):
        text = path.read_text()
        assert hashed in text
        path.write_text(text.replace(hashed, fingerprint))


def test_a_run_of_an_earlier_version_works(run_copy, made, capsys):
    # Its encoder is one that was trained with here, which needs no word of trust.
    as_of_an_earlier_version(run_copy)
    capsys.readouterr()
    assert Matcher(str(run_copy)).match(piece()) == Matcher(str(made.run)).match(piece())
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"{run_copy} was trained by an earlier version, which kept no hash of its text encoder: "
        f"{run_copy}/text_encoder is used, and cannot be checked"
    )
    # Its embeddings are its own as well.
    assert len(towers.open_run(str(run_copy))[0].embeddings) > 40
    assert matching.search(str(run_copy), "waltz") == matching.search(str(made.run), "waltz")


def test_trust_in_a_run_of_an_earlier_version_is_of_its_encoder_alone(run_copy, tmp_path):
    as_of_an_earlier_version(run_copy)
    towers.trust_run(str(run_copy))
    towers.open_run(str(run_copy))
    # A stranger's run may say the same numbers.
    shutil.rmtree(run_copy / "text_encoder")
    tf.saved_model.save(Writing(tmp_path / "mark"), run_copy / "text_encoder")
    both_fail(run_copy, "give --trust")
    assert not (tmp_path / "mark").exists()


def test_an_encoder_of_another_size_is_noticed_in_a_run_of_an_earlier_version(run_copy):
    as_of_an_earlier_version(run_copy)
    shutil.rmtree(run_copy / "text_encoder")
    builtin.export(["a sad waltz", "the sad jig", "a jig"], run_copy / "text_encoder")
    towers.trust_run(str(run_copy))
    fails(run_copy, r"gives vectors of \d+ numbers and .* was trained with \d+; restore")


def test_an_index_made_with_something_else(run_copy):
    place = run_copy / "index" / "titles" / "index.json"
    about = json.loads(place.read_text())
    for name, message in [("text_encoder", "another text encoder"), ("towers", "another towers")]:
        changed = {**about, "made_with": {**about["made_with"], name: "0"}}
        place.write_text(json.dumps(changed))
        with pytest.raises(UserError, match=message) as error:
            Matcher(str(run_copy))
        assert f"{run_copy}/index/titles" in one_line(error)


def test_vectors_of_one_and_of_many_are_the_same(made):
    trained, metadata = towers.open_run(str(made.run), keep_embeddings=False)
    assert metadata["finished"]
    melodies = [scale_degrees.read(sequence(pitches=randomly(seed))) for seed in range(5)]
    together = trained.tune_vectors(melodies)
    alone = np.concatenate([trained.tune_vectors([each]) for each in melodies])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


# What the indexes of a run and of a user's own lists hold, and when they are used again


class Fake:
    """Stands in for towers: a vector by a hash, and a count of those computed."""

    def __init__(self, towers="a", text_encoder="b"):
        self._made_with = {"text_encoder": text_encoder, "towers": towers}
        self.computed = 0

    def made_with(self):
        return dict(self._made_with)

    def _vectors(self, keys):
        self.computed += len(keys)
        seeds = [int.from_bytes(hashlib.sha256(key).digest()[:8], "big") for key in keys]
        return np.stack([np.random.default_rng(seed).normal(size=6) for seed in seeds])

    def title_vectors(self, texts, remember=True):
        return self._vectors([text.encode() for text in texts]).astype(np.float32)

    def tune_vectors(self, melodies):
        return self._vectors([each.notes.tobytes() for each in melodies]).astype(np.float32)


def listed(tmp_path, data, name="list.txt"):
    """The entries of an index of a list of titles."""
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    folder = str(tmp_path / f"{name}.index")
    return list(matching.index_of_titles(str(path), Fake(), folder).entries())


MIXED = (
    "The Maid's Fancy\n"
    "\n"
    "  Maid's Fancy, The  \n"
    "🎻🎶\n"
    "Ó Néill's Áirde\n"
    "Untitled\n"
    "Mullindough, or the Black Laddie\n"
    f"{'x' * 10_000}\n"
    "Black Laddie\n"
    "Bonny\tKate 🎻"
)


def test_a_list_of_titles(tmp_path, capsys):
    assert listed(tmp_path, MIXED) == [
        {"title": "The Maid's Fancy", "fold": "maidsfancy", "line": 1},
        {"title": "Ó Néill's Áirde", "fold": "oneilsairde", "line": 5},
        {"title": "Mullindough, or the Black Laddie", "fold": "mulindough", "line": 7},
        {"title": "Mullindough, or the Black Laddie", "fold": "blackladie", "line": 7},
        {"title": "Bonny Kate 🎻", "fold": "bonykate", "line": 10},
    ]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path}/list.txt: 5 different titles; 3 lines name no tune")
    assert "(line 4, 6, 8)" in line and line.endswith("2 are repeated")


def test_many_lines_without_a_title_are_not_all_named(tmp_path, capsys):
    listed(tmp_path, "🎻\n" * 9 + "The Coolin\n")
    assert "(line 1, 2, 3, 4, 5, ...)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.replace("\n", "\r\r\n").encode(),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: (text + "\n\n").encode() + b"\x1a",
    ],
    ids=["CRLF", "CR", "CRCRLF", "BOM", "UTF-16", "DOS end"],
)
def test_however_it_is_written(tmp_path, encode):
    expected = listed(tmp_path, MIXED)
    assert listed(tmp_path, encode(MIXED), "other.txt") == expected


def test_latin_1_line_by_line(tmp_path):
    data = "Ó Néill's Áirde\nThe Coolin\n".encode("latin-1") + "Cáit Ní Dhuibhir\n".encode()
    assert [entry["title"] for entry in listed(tmp_path, data)] == [
        "Ó Néill's Áirde",
        "The Coolin",
        "Cáit Ní Dhuibhir",
    ]


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "has no title in it"),
        (b"\n \r\n\t\n", "has no title in it"),
        ("🎻\nUntitled\n".encode(), "has no title in it"),
        (b"x" * 10_000, "has no title in it"),
        (bytes(range(256)) * 9, "is not text"),
        (b"MThd\0\0\0\x06\0\1\0\1\0\xdcMTrk\0\0\0\0", "is not text"),
    ],
)
def test_files_without_a_title(tmp_path, data, message):
    with pytest.raises(UserError, match=message) as error:
        listed(tmp_path, data)
    assert f"{tmp_path}/list.txt" in str(error.value) and "\n" not in str(error.value)


def test_no_file(tmp_path):
    for place in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(OSError) as error:
            matching.index_of_titles(str(place), Fake(), str(tmp_path / "kept"))
        assert error.value.filename == str(place) and error.value.strerror


def test_a_kept_index_is_not_computed_again(tmp_path):
    path, folder = tmp_path / "list.txt", tmp_path / "kept"
    path.write_text(MIXED)
    towers = Fake()
    first = matching.index_of_titles(str(path), towers, str(folder))
    assert towers.computed == len(first) == 5
    moved = tmp_path / "moved.txt"
    path.rename(moved)
    again = matching.index_of_titles(str(moved), towers, str(folder))
    assert towers.computed == 5
    assert list(again.entries()) == list(first.entries())
    assert again.vectors.tolist() == first.vectors.tolist()


def test_an_empty_folder_takes_an_index(tmp_path):
    path, folder = tmp_path / "list.txt", tmp_path / "kept"
    path.write_text(MIXED)
    folder.mkdir()
    assert len(matching.index_of_titles(str(path), Fake(), str(folder))) == 5


def test_an_index_of_something_else(tmp_path):
    path, folder = tmp_path / "list.txt", tmp_path / "kept"
    path.write_text(MIXED)
    matching.index_of_titles(str(path), Fake(), str(folder))
    for others, message in [
        (Fake(towers="c"), "another towers"),
        (Fake(text_encoder="c"), "another text encoder"),
    ]:
        with pytest.raises(UserError, match=message):
            matching.index_of_titles(str(path), others, str(folder))
    path.write_text(MIXED + "\nThe Drover's Hat\n")
    with pytest.raises(UserError, match="another list of titles"):
        matching.index_of_titles(str(path), Fake(), str(folder))
    records = write(tmp_path / "r.tfrecord", [sequence("The Coolin")])
    with pytest.raises(UserError, match="index of titles, not of tunes"):
        matching.index_of_tunes(records, Fake(), str(folder))
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="holds no index"):
        matching.index_of_titles(str(path), Fake(), str(other))
    assert os.listdir(other) == ["mine.txt"]


def test_an_index_of_tunes(tmp_path, capsys):
    folder = tmp_path / "kept"
    first = write(
        tmp_path / "a" / "r.tfrecord",
        [
            sequence("The Coolin", name="1", pitches=randomly(1), genre="reel"),
            sequence(name="2", pitches=randomly(2), meter=None),
            sequence("Mullindough, or the Black Laddie", "Kate", name="3", pitches=randomly(3)),
            sequence("The Note", name="4", pitches=[60]),
        ],
    )
    towers = Fake()
    found = matching.index_of_tunes(first, towers, str(folder))
    empty = {"titles": [], "rhythm": "", "meter": "4/4", "mode": "", "collection": ""}
    assert list(found.entries()) == [
        {**empty, "id": "1", "titles": ["The Coolin"], "rhythm": "reel"},
        {**empty, "id": "2", "meter": ""},
        {**empty, "id": "3", "titles": ["Mullindough, or the Black Laddie", "Kate"]},
    ]
    assert "4 records: 2 tunes with a title, 1 with no title, 1 left out" in capsys.readouterr().err
    # The same records elsewhere are the same; others at the same place are others.
    os.rename(tmp_path / "a", tmp_path / "b")
    matching.index_of_tunes(f"{tmp_path}/b/*", towers, str(folder))
    assert towers.computed == 3
    write(tmp_path / "b" / "r.tfrecord", [sequence("Bonny Kate", pitches=randomly(5))])
    with pytest.raises(UserError, match="another set of records"):
        matching.index_of_tunes(f"{tmp_path}/b/*", towers, str(folder))


def test_the_indexes_of_a_run(tmp_path):
    records = [
        sequence("The Coolin", "Mullindough, or the Coolin", name="1", pitches=randomly(1)),
        sequence("Coolin, The", name="2", pitches=randomly(2)),
        sequence(name="3", pitches=randomly(3)),
        sequence("Ó Néill's Áirde", name="4", pitches=randomly(4)),
    ]
    read = titled_tunes.read(open_records(write(tmp_path / "r.tfrecord", records))).titled()
    towers, run = Fake(), str(tmp_path / "run")
    matching.write_run_index(run, towers, read.tunes)
    titles = matching.open_run_index(run, "titles", towers)
    assert list(titles.entries()) == [
        {"title": "The Coolin", "fold": "colin", "tunes": ["1", "2"]},
        {"title": "Mullindough, or the Coolin", "fold": "mulindough", "tunes": ["1"]},
        {"title": "Ó Néill's Áirde", "fold": "oneilsairde", "tunes": ["4"]},
    ]
    # A row is where its text's vector is.
    for row, text in enumerate(["the coolin", "mullindough", "o'neill's airde"]):
        assert titles.search(towers.title_vectors([text])[0], 1)[0] == (pytest.approx(1), row)
    found = matching.open_run_index(run, "tunes", towers)
    assert [entry["id"] for entry in found.entries()] == ["1", "2", "4"]
    for row, each in enumerate(read.tunes):
        assert found.search(towers.tune_vectors([each.melody])[0], 1)[0][1] == row
    # Once more, as after an interruption, and with other towers.
    matching.write_run_index(run, Fake(towers="c"), read.tunes)
    with pytest.raises(UserError, match="another towers"):
        matching.open_run_index(run, "titles", towers)
    assert sorted(os.listdir(tmp_path / "run" / "index")) == ["titles", "tunes"]
    assert len(index.open_index(matching.run_index_dir(run, "tunes"), "tunes", None)) == 3
