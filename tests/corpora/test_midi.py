"""Any MIDI files as a corpus: what is read, in which split, with which labels."""

import collections
import io
import json
import os
import random
import tarfile
import tracemalloc
import zipfile

import mido
import pytest

from pipelines.corpora import Counted, Ignored, Skipped, Source, conversion, corpora
from pipelines.music import formats
from pipelines.music.limits import Limits, Rejected
from pipelines.music.note_sequence import NoteSequence
from pipelines.records import beam_batches, tfrecord
from pipelines.records.manifest import SPLITS, record_files
from pipelines.records.tune_list import read_tunes
from pipelines.runtime.app import UserError
from tests.support import groove_release
from tests.support.records import contents, rejections, sequences

MIDI = corpora()["midi"]
PROCESSES = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
SCORE = (
    b"<score-partwise><part id='P1'><measure><attributes><divisions>1</divisions></attributes>"
    b"<note><pitch><step>C</step><octave>4</octave></pitch><duration>1</duration></note></measure>"
    b"</part></score-partwise>"
)


def melody(seed, notes=40, tempo=120):
    """A MIDI file with a melody that goes up and down at random."""
    rng = random.Random(seed)
    track, pitch = [mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo))], 64
    for _ in range(notes):
        track.append(mido.Message("note_on", note=pitch, velocity=80))
        track.append(mido.Message("note_off", note=pitch, time=240))
        pitch = min(max(pitch + rng.choice((-3, -2, -1, 1, 2, 4)), 56), 80)
    return groove_release.midi_bytes(track)


def beat(seed, hits=30):
    rng = random.Random(seed)
    notes = [(rng.choice((36, 38, 42, 46)), rng.randrange(1, 128), 60) for _ in range(hits)]
    return groove_release.midi_bytes(groove_release.hits(*notes))


def write(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def packed(path, files):
    """The files as an archive, a zip or a tar by its name; returns the path."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def found(*paths, labels=None, limits=Limits()):  # noqa: B008
    """What reading gives: pieces by id, and the kind and reason of the rest by key."""
    pieces, others = {}, {}
    for source in MIDI.sources([str(path) for path in paths], labels and str(labels)):
        if isinstance(source, Skipped | Ignored):
            others[source.key] = getattr(source, "reason", "ignored")
        elif not isinstance(source, Counted):
            # A job passes sources on as JSON.
            source = Source(*json.loads(json.dumps(source)))
            try:
                for one in MIDI.sequences(source, limits):
                    if isinstance(one, Ignored):
                        others[one.key] = "ignored"
                    else:
                        assert one.split == source.split
                        pieces[one.sequence.id] = one.sequence
            except Rejected as rejected:
                others[source.key] = rejected.reason
    return pieces, others


def by_split(path):
    """The ids of the records of each split."""
    return {
        split: {
            NoteSequence.FromString(record).id
            for file in path.glob(f"{split}.tfrecord*")
            for record in tfrecord.read(file)
        }
        for split in SPLITS
    }


def convert(where, output, *arguments, **options):
    paths = [str(path) for path in where] if isinstance(where, list) else str(where)
    return conversion.convert("midi", paths, str(output), 2, *arguments, **options)


FILES = {
    "songs/one.mid": melody(1),
    "songs/two.MIDI": melody(2),
    "songs/three.kar": melody(3),
    "drums/rock/four": beat(4),
    "scores/five.musicxml": SCORE,
    "scores/six.xml": SCORE.decode().encode("utf-16"),
}
OTHERS = {
    "LICENSE": b"You may copy this.\n",
    "settings.xml": b"<?xml version='1.0'?><settings/>",
    "recording.wav": b"RIFF\0\0\0\0WAVE" + b"\0" * 999,
    "tunes.abc": b"X:1\nK:G\nGABc|\n",
    "more.zip": b"PK\3\4 and so on",
    "empty": b"",
}
HIDDEN = {
    ".DS_Store": b"\0",
    "songs/._one.mid": b"\0\5\x16\7",
    "__MACOSX/songs/._one.mid": b"\0\5\x16\7",
    ".git/x.mid": melody(9),
}


@pytest.mark.parametrize("form", ["folder", "zip", "tar", "tgz"])
def test_a_folder_and_its_archives_give_the_same_pieces(tmp_path, form):
    files = {**FILES, **OTHERS, **HIDDEN}
    where = write(tmp_path / "music", files)
    if form != "folder":
        where = packed(tmp_path / f"music.{form}", files)
    pieces, others = found(where)
    assert set(pieces) == set(FILES)
    assert others == dict.fromkeys(OTHERS, "ignored")
    one = pieces["songs/one.mid"]
    assert (one.filename, one.collection_name) == ("songs/one.mid", "midi")
    assert list(one.sequence_metadata.genre) == ["songs"]
    assert list(pieces["drums/rock/four"].sequence_metadata.genre) == ["drums", "rock"]
    for field in ("id", "filename", "collection_name", "sequence_metadata"):
        one.ClearField(field)
    [alone] = formats.scores("one.mid", FILES["songs/one.mid"])
    assert one == alone


def test_files_by_themselves_and_several_inputs(tmp_path):
    write(tmp_path, {"x/a.mid": melody(1), "y/a.mid": melody(2), "z/b.dat": beat(3)})
    pieces, others = found(tmp_path / "x", tmp_path / "y" / "a.mid", tmp_path / "z" / "b.dat")
    assert set(pieces) == {"x/a.mid", "a.mid", "b.dat"}
    assert not others
    pieces, _ = found(tmp_path / "x" / "a.mid")
    assert list(pieces) == ["a.mid"] and not pieces["a.mid"].sequence_metadata.genre
    # What is asked for by name has to be music.
    write(tmp_path, {"x/notes.txt": b"Dear all,"})
    with pytest.raises(UserError, match="no record was kept .*notes.txt: no_music: neither MIDI"):
        convert(tmp_path / "x" / "notes.txt", tmp_path / "r")
    write(tmp_path, {"x/tunes.abc": OTHERS["tunes.abc"]})
    with pytest.raises(UserError, match="tunes.abc: no_music: .*--corpus=abc reads it"):
        convert(tmp_path / "x" / "tunes.abc", tmp_path / "r")


def test_folders_that_all_files_are_in_are_no_labels(tmp_path):
    files = {"release/songs/a.mid": melody(1), "release/songs/b.mid": melody(2), "LICENSE": b"x"}
    pieces, _ = found(write(tmp_path / "music", files))
    assert [list(piece.sequence_metadata.genre) for piece in pieces.values()] == [[], []]


def test_bad_files_are_listed_and_the_rest_is_converted(tmp_path):
    good = melody(1)
    bad = {
        "empty.mid": (b"", "malformed"),
        "cut.mid": (good[:-9], "malformed"),
        "text.mid": (b"not MIDI", "malformed"),
        "silent.mid": (groove_release.midi_bytes([]), "no_notes"),
        "long.mid": (melody(2, tempo=4), "too_long"),
        "many.mid": (melody(3, notes=70), "too_many_notes"),
        "broken.mxl": (b"PK\3\4", "malformed"),
        "broken.musicxml": (SCORE[:90], "malformed"),
    }
    files = {"good.mid": good, **{name: data for name, (data, _) in bad.items()}, **OTHERS}
    manifest = convert(
        write(tmp_path / "music", files), tmp_path / "r", Limits(max_seconds=60, max_notes=60)
    )
    assert rejections(tmp_path / "r") == {name: reason for name, (_, reason) in bad.items()}
    assert (manifest["read"], manifest["rejected"], manifest["clean"]) == (9, 8, 1)
    assert manifest["ignored"] == len(OTHERS) and manifest["split_percent"] == (80, 10, 10)
    lines = (tmp_path / "r" / "ignored.jsonl").read_text().splitlines()
    details = {line["source"]: line["detail"] for line in map(json.loads, lines)}
    assert set(details) == set(OTHERS)
    assert "--corpus=abc" in details["tunes.abc"] and "unpack it" in details["more.zip"]


def test_a_file_that_breaks_the_reader_takes_no_other_along(tmp_path, monkeypatch):
    real = formats.scores

    def scores(name, *rest):
        if name == "bad.mid":
            raise ZeroDivisionError("boom")
        return real(name, *rest)

    monkeypatch.setattr(formats, "scores", scores)
    pieces, others = found(write(tmp_path, {"bad.mid": melody(1), "good.mid": melody(2)}))
    assert list(pieces) == ["good.mid"] and others == {"bad.mid": "unreadable"}


def test_the_patterns_of_a_file_of_type_2_are_pieces(tmp_path):
    file = mido.MidiFile(type=2)
    for pitch in (60, 72):
        on = mido.Message("note_on", note=pitch, velocity=80)
        file.tracks.append(mido.MidiTrack([on, mido.Message("note_off", note=pitch, time=96)]))
    file.save(tmp_path / "patterns.mid")
    pieces, _ = found(tmp_path)
    assert {name: piece.notes[0].pitch for name, piece in pieces.items()} == {
        "patterns.mid/1": 60,
        "patterns.mid/2": 72,
    }
    assert pieces["patterns.mid/2"].filename == "patterns.mid"


def test_names_of_any_bytes(tmp_path):
    names = [b"a\nb.mid", b"\xff\xfe.mid", "e\u0301 \u202e.mid".encode(), b" .mid", b"a,b;c.mid"]
    os.makedirs(tmp_path / "music")
    for seed, name in enumerate(names):
        with open(os.fsencode(tmp_path / "music") + b"/" + name, "wb") as file:
            file.write(melody(seed))
    manifest = convert(tmp_path / "music", tmp_path / "r")
    assert manifest["read"] == len(names) and not manifest["rejected"]
    kept = {sequence.id for sequence in sequences(tmp_path / "r")}
    assert {"a\nb.mid", "\\udcff\\udcfe.mid"} < kept


def test_links_and_names_that_lead_out_are_not_followed(tmp_path):
    write(tmp_path, {"secret.mid": melody(1), "music/a.mid": melody(2)})
    (tmp_path / "music" / "link.mid").symlink_to(tmp_path / "secret.mid")
    (tmp_path / "music" / "loop").symlink_to(tmp_path / "music")
    os.mkfifo(tmp_path / "music" / "pipe.mid")
    pieces, others = found(tmp_path / "music")
    assert list(pieces) == ["a.mid"]
    assert others == {"link.mid": "outside", "loop/": "unreadable", "pipe.mid": "unreadable"}
    for name in ("z.zip", "z.tar"):
        pieces, others = found(
            packed(tmp_path / name, {"../secret.mid": melody(1), "a.mid": melody(2)})
        )
        assert list(pieces) == ["a.mid"] and others == {"../secret.mid": "outside"}


def test_a_folder_without_music_is_named_with_the_fix(tmp_path):
    write(tmp_path / "books", {"a.abc": OTHERS["tunes.abc"], "b.abc": b"", "c.txt": b"?"})
    message = "books has no file of MIDI or MusicXML among its 3; its 2 tunebooks go with --corpus"
    with pytest.raises(UserError, match=message):
        found(tmp_path / "books")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(
        UserError, match="nothing has no file in it; give files, folders or archives"
    ):
        found(tmp_path / "nothing")
    with pytest.raises(UserError, match="absent does not exist"):
        found(tmp_path / "absent")


# Splits


def test_versions_of_a_piece_are_in_one_split_and_order_does_not_matter(tmp_path):
    files = {}
    for seed in range(30):
        files[f"a/{seed}.mid"] = melody(seed)
        # In another tempo, and as takes of one name.
        files[f"b/x{seed}.mid"] = melody(seed, tempo=77)
        files[f"takes/song{seed} take 1.mid"] = beat(2 * seed)
        files[f"takes/song{seed} take 2.mid"] = beat(2 * seed + 1)
    percent = (40, 30, 30)
    manifest = convert(write(tmp_path / "music", files), tmp_path / "r", split_percent=percent)
    assert manifest["tunes"] == {"groups": 60, "largest": 2}
    split_of = {name: split for split, names in by_split(tmp_path / "r").items() for name in names}
    assert len(split_of) == 120 and set(split_of.values()) == set(SPLITS)
    for seed in range(30):
        assert split_of[f"a/{seed}.mid"] == split_of[f"b/x{seed}.mid"]
        one, other = (f"takes/song{seed} take {n}.mid" for n in (1, 2))
        assert split_of[one] == split_of[other]
    expected = contents(tmp_path / "r")
    shuffled = list(files.items())
    random.Random(0).shuffle(shuffled)
    for name in ("z.zip", "z.tgz"):
        convert(packed(tmp_path / name, dict(shuffled)), tmp_path / name[2:], split_percent=percent)
        assert contents(tmp_path / name[2:]) == expected
    # The list of tunes joins the same pieces.
    assert len(list(read_tunes(tmp_path / "r"))) == 120


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_runner_and_batches(tmp_path, monkeypatch):
    write(tmp_path / "music", {**FILES, **OTHERS, **{f"{i}.mid": melody(i) for i in range(20)}})
    convert(tmp_path / "music", tmp_path / "r", Limits(), [])
    expected = contents(tmp_path / "r")
    monkeypatch.setattr(beam_batches, "_MIN_BATCH", 2)
    for i, arguments in enumerate(([], PROCESSES)):
        convert(tmp_path / "music", tmp_path / f"r{i}", Limits(), arguments)
        assert contents(tmp_path / f"r{i}") == expected


@pytest.mark.parametrize("root", ["", "maestro/"])
@pytest.mark.parametrize("names", [SPLITS, ("Training", "valid", "TEST")])
def test_folders_that_name_the_splits_say_them(tmp_path, capsys, root, names):
    train, validation, test = names
    files = {
        f"{root}{train}/jazz/a.mid": melody(1),
        f"{root}{train}/jazz/b.mid": melody(2),
        f"{root}{validation}/rock/c.mid": melody(3),
        # Even where the very same piece is in two of them.
        f"{root}{test}/rock/a.mid": melody(1),
        f"{root}stray.mid": melody(4),
        f"{root}README.txt": b"?",
    }
    where = write(tmp_path / "music", files)
    manifest = convert(where, tmp_path / "r")
    assert "which split: train 2, validation 1, test 1 files" in capsys.readouterr().err
    assert by_split(tmp_path / "r") == {
        "train": {f"{root}{train}/jazz/a.mid", f"{root}{train}/jazz/b.mid"},
        "validation": {f"{root}{validation}/rock/c.mid"},
        "test": {f"{root}{test}/rock/a.mid"},
    }
    assert rejections(tmp_path / "r") == {f"{root}stray.mid": "no_split"}
    assert "split_percent" not in manifest and manifest["ignored"] == 1
    genres = {s.id: list(s.sequence_metadata.genre) for s in sequences(tmp_path / "r")}
    assert genres[f"{root}{test}/rock/a.mid"] == ["rock"]
    assert not (tmp_path / "r" / "tunes.jsonl").exists()
    with pytest.raises(UserError, match="--split_percent: --input or --labels says which piece"):
        convert(where, tmp_path / "s", split_percent=(80, 10, 10))
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    "folders",
    [["train", "loops"], ["train", "train"], ["test", "validation"], ["train", "test", *"abcd"]],
)
def test_folders_that_only_seem_to_name_splits_say_nothing(tmp_path, folders):
    files = {f"{folder}/{i}.mid": melody(i) for i, folder in enumerate(folders)}
    manifest = convert(write(tmp_path / "music", files), tmp_path / "r")
    assert manifest["split_percent"] == (80, 10, 10) and not manifest["rejected"]


# Labels


TABLE = (
    "File,Title,composer,Style,beats per minute,piece\n"
    "songs/one.mid,The One,A. Body,jazz/swing,120,p1\n"
    "two.MIDI,,,rock,, \n"
    "three,Three,,,90,P1\n"
)


def test_labels_of_a_table(tmp_path, capsys):
    (tmp_path / "labels.csv").write_text(TABLE)
    where = write(tmp_path / "music", {**FILES, **OTHERS})
    manifest = convert(where, tmp_path / "r", labels=str(tmp_path / "labels.csv"))
    assert manifest["labels"] == {
        "rows": 3,
        "labelled": 3,
        "no_file": 0,
        "ambiguous": 0,
        "duplicate": 0,
        "bad_row": 0,
        # Those called .xml are counted, whatever is in them.
        "unlabelled": 3,
    }
    assert (
        "labels.csv: 3 of 3 rows label a file by 'File', 0 do not; 3 files have no row\n"
        in capsys.readouterr().err
    )
    kept = {sequence.id: sequence for sequence in sequences(tmp_path / "r")}
    one = kept["songs/one.mid"]
    assert one.sequence_metadata.title == "The One"
    assert list(one.sequence_metadata.composers) == ["A. Body"]
    assert list(one.sequence_metadata.genre) == ["jazz", "swing"]
    assert [(a.time, a.text, a.annotation_type) for a in one.text_annotations] == [
        (0.0, "beats_per_minute=120", 0),
        (0.0, "piece=p1", 0),
    ]
    assert list(kept["songs/two.MIDI"].sequence_metadata.genre) == ["rock"]
    # Of no style in the table, the folder.
    assert list(kept["songs/three.kar"].sequence_metadata.genre) == ["songs"]
    # The table says that these are one piece.
    groups = [
        tune
        for tune in read_tunes(tmp_path / "r")
        if tune.id in ("songs/one.mid", "songs/three.kar")
    ]
    assert set(groups[0].keys) & set(groups[1].keys) and groups[0].split == groups[1].split
    assert groups[0].title in ("The One", "Three")


def test_a_table_may_say_the_splits(tmp_path):
    table = tmp_path / "labels.csv"
    rows = ["file;split", "one.mid;Train", "two.MIDI;validation", "songs/three.kar;test"]
    table.write_text("\n".join(rows))
    where = write(tmp_path / "music", {**FILES, **OTHERS})
    manifest = convert(where, tmp_path / "r", labels=str(table))
    assert by_split(tmp_path / "r") == {
        "train": {"songs/one.mid"},
        "validation": {"songs/two.MIDI"},
        "test": {"songs/three.kar"},
    }
    assert set(rejections(tmp_path / "r").values()) == {"no_row"}
    assert (manifest["read"], manifest["rejected"]) == (6, 3)
    assert manifest["ignored"] == len(OTHERS)
    assert not any(sequence.text_annotations for sequence in sequences(tmp_path / "r"))
    table.write_text("\n".join([*rows, "five.musicxml;holdout"]))
    with pytest.raises(UserError, match="labels.csv, row 5: split 'holdout' is none of train, val"):
        convert(where, tmp_path / "s", labels=str(table))


def test_only_this_corpus_takes_labels(tmp_path):
    with pytest.raises(UserError, match="--labels: --corpus=abc takes no table .* only midi does"):
        conversion.convert("abc", str(tmp_path), str(tmp_path / "r"), labels="x.csv")


# Scale


@pytest.mark.slow
def test_listing_many_files_holds_no_contents(tmp_path):
    count, size = 5_000, 1 << 13
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(count):
            archive.writestr(f"folder{i % 100}/{i}.mid", b"\0" * size)
    tracemalloc.start()
    try:
        listed = collections.Counter(type(one) for one in MIDI.sources([str(path)]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert listed == {Source: count}
    # The names of a file, and zipfile's own object for it.
    assert peak < 3000 * count


# Real corpora


@pytest.mark.slow
def test_the_melodies_of_nottingham(corpora, tmp_path):
    manifest = convert(corpora / "nottingham-melody-midi.zip", tmp_path / "r")
    assert (manifest["read"], manifest["rejected"]) == (1034, 0)
    assert manifest["tunes"] == {"groups": 977, "largest": 3}
    assert [manifest["splits"][split]["records"] for split in SPLITS] == [840, 95, 99]
    assert len(record_files(f"{tmp_path}/r/train.tfrecord*")) == 2


@pytest.mark.slow
def test_the_groove_dataset_without_its_table(corpora, tmp_path):
    manifest = convert(corpora / "groove-v1.0.0-midionly.zip", tmp_path / "r")
    assert (manifest["read"], manifest["rejected"], manifest["ignored"]) == (1150, 0, 3)
    assert manifest["tunes"] == {"groups": 1088, "largest": 7}
    # The ten beats that four drummers each play are ten pieces.
    evaluation = collections.defaultdict(set)
    for split, names in by_split(tmp_path / "r").items():
        for name in names:
            if "eval_session" in name:
                evaluation[name.rpartition("/")[2]].add(split)
    assert len(evaluation) == 10 and all(len(found) == 1 for found in evaluation.values())


@pytest.mark.slow
def test_the_groove_dataset_with_its_table_has_its_own_splits(corpora, tmp_path):
    release = corpora / "groove-v1.0.0-midionly.zip"
    with zipfile.ZipFile(release) as archive:
        (tmp_path / "info.csv").write_bytes(archive.read("groove/info.csv"))
    manifest = convert(release, tmp_path / "r", labels=str(tmp_path / "info.csv"))
    assert [manifest["splits"][split]["records"] for split in SPLITS] == [897, 124, 129]
    assert manifest["labels"]["labelled"] == manifest["labels"]["rows"] == 1150
    expected = {}
    conversion.convert("groove", str(release), str(tmp_path / "g"), 2)
    for sequence in sequences(tmp_path / "g"):
        expected[f"groove/{sequence.filename}"] = sequence.sequence_metadata
    for sequence in sequences(tmp_path / "r"):
        assert sequence.sequence_metadata == expected[sequence.id]
