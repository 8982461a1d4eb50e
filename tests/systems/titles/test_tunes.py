"""Records and files to titled tunes: titles, melodies, what is left out, what goes together."""

import json
import os
import pathlib
import random

import numpy as np
import pytest

from pipelines.music import midi_writer
from pipelines.music.abc import reader
from pipelines.music.note_sequence import NoteSequence
from pipelines.records.manifest import open_records
from pipelines.representations import scale_degrees
from pipelines.runtime.app import UserError
from pipelines.systems.titles import tunes
from pipelines.systems.titles.tunes import LONG, NAMELESS, NO_TITLE
from tests.support.datasets import write
from tests.support.titled import SCALE, one_line, randomly, sequence, tune, written

pytestmark = pytest.mark.keras3


@pytest.mark.parametrize(
    "written, texts, why",
    [
        ([], [], NO_TITLE),
        ([""], [], NO_TITLE),
        (["  ", "\t"], [], NO_TITLE),
        (["x" * 10_000], [], LONG),
        (["The Maid " * 1000, "Untitled"], [], LONG),
        (["🎻🎶"], [], NAMELESS),
        (["Untitled"], [], NAMELESS),
        (["Ó Néill's Áirde"], ["o'neill's airde"], ""),
        (["🎻 Cáit Ní Dhuibhir 🎻"], ["cait ni dhuibhir"], ""),
        (["Mullindough, or the Black Laddie"], ["mullindough", "the black laddie"], ""),
        # As they stand, each as it first stands.
        (["The Coolin", "Bonny Kate", "Coolin, The"], ["the coolin", "bonny kate"], ""),
        (["Maid's Fancy, The", "The MAIDS FANCY"], ["the maid's fancy"], ""),
        (["Bonny Kate, or the Coolin", "A Coolin"], ["bonny kate", "the coolin"], ""),
        (["Untitled", "", "The Coolin", "x" * 10_000], ["the coolin"], ""),
    ],
)
def test_titles_and_why_there_are_none(written, texts, why):
    tune, why_untitled = tunes.of_sequence(sequence(*written))
    assert [title.text for title in tune.titles] == texts
    assert why_untitled == why


def test_titles_are_shown_as_written():
    tune, _ = tunes.of_sequence(sequence("Ó  Néill's Áirde", "Maid's Fancy, The", "Maids Fancy"))
    assert [title.shown for title in tune.titles] == ["Ó Néill's Áirde", "Maid's Fancy, The"]


def test_only_lines_of_the_header_are_titles():
    made = sequence("The Coolin")
    made.text_annotations.add(
        text="T:Trio", time=1.0, annotation_type=NoteSequence.TextAnnotation.CHORD_SYMBOL
    )
    made.text_annotations.add(text="N:The Tune")
    assert [title.text for title in tunes.of_sequence(made)[0].titles] == ["the coolin"]


def test_the_title_of_records_without_such_lines():
    made = sequence()
    made.sequence_metadata.title = "Coolin, The"
    tune, why = tunes.of_sequence(made)
    assert [title.text for title in tune.titles] == ["the coolin"] and not why


@pytest.mark.parametrize("pitches", [(), (67,), (67, 69, 71)])
def test_too_few_notes(pitches):
    with pytest.raises(scale_degrees.NoMelodyError, match=f"{len(pitches)} in its first voice"):
        tunes.of_sequence(sequence("The Coolin", pitches=pitches))


def test_drums_alone_are_no_melody():
    with pytest.raises(scale_degrees.NoMelodyError, match="drums aside"):
        tunes.of_sequence(sequence("The Coolin", is_drum=True))


def test_of_chords_the_highest():
    made = sequence("The Coolin")
    for note in list(made.notes)[:3]:
        made.notes.add(pitch=note.pitch - 7, start_time=note.start_time, end_time=note.end_time)
    tune, _ = tunes.of_sequence(made)
    alone, _ = tunes.of_sequence(sequence("The Coolin"))
    assert tune.melody.chords == 3 and alone.melody.chords == 0
    assert tune.melody.notes.tolist() == alone.melody.notes.tolist()


def test_what_is_told_of_a_tune():
    modes = NoteSequence.KeySignature
    made = sequence("The Coolin", name="b/1", mode=modes.DORIAN, meter=(6, 8), genre="Jig")
    made.collection_name = "abc"
    tune, _ = tunes.of_sequence(made)
    assert (tune.id, tune.collection, tune.rhythm, tune.mode, tune.meter) == (
        "b/1", "abc", "jig", "dorian", "6/8",
    )  # fmt: skip
    assert tune.guessed is None and tune.keys
    bare, _ = tunes.of_sequence(sequence(meter=None), guess_keys=True, keys=(1, 2))
    assert (bare.rhythm, bare.mode, bare.meter, bare.keys) == ("", "", "", (1, 2))
    assert len(bare.guessed.notes) == len(SCALE)


def test_what_was_read_adds_up(tmp_path):
    path = write(
        tmp_path / "r.tfrecord",
        [
            sequence("The Coolin", name="1", pitches=randomly(1)),
            sequence(name="2", pitches=randomly(2)),
            sequence("x" * 201, name="3", pitches=randomly(3)),
            sequence("Untitled", name="4", pitches=randomly(4)),
            sequence("", name="5", pitches=randomly(5)),
            sequence("Bonny Kate", name="6", pitches=[60]),
            sequence("Bonny Kate", name="7", is_drum=True),
            sequence("Bonny Kate", "Kate", name="8", pitches=randomly(8)),
        ],
    )
    found = tunes.read(open_records(path))
    assert [tune.id for tune in found.tunes] == ["1", "2", "3", "4", "5", "8"]
    assert dict(found.left_out) == {"too few notes": 2}
    assert dict(found.untitled) == {NO_TITLE: 2, LONG: 1, NAMELESS: 1}
    assert found.summary() == (
        "8 records: 2 tunes with a title, 1 with a title that is too long, 2 with no title, "
        "1 with no title that names a tune, 2 left out: too few notes"
    )
    titled = found.titled()
    assert [tune.id for tune in titled.tunes] == ["1", "8"] and len(titled.groups) == 2
    assert titled.summary() == found.summary()


def test_versions_of_a_tune_are_one_group(tmp_path):
    higher = [pitch + 5 for pitch in randomly(1)]
    path = write(
        tmp_path / "r.tfrecord",
        [
            sequence("The Coolin", pitches=randomly(1)),
            sequence("Bonny Kate", pitches=randomly(2)),
            sequence("Another Name of It", pitches=higher),
            sequence("Coolin, The", pitches=randomly(3)),
            sequence("The Drover's Hat", pitches=randomly(4)),
        ],
    )
    first, kate, by_melody, by_title, hat = tunes.read(open_records(path)).groups.tolist()
    assert first == by_melody == by_title
    assert len({first, kate, hat}) == 3


def test_what_convert_recognised_tunes_by_is_kept(tmp_path):
    path = write(
        tmp_path / "train.tfrecord",
        [
            sequence("The Coolin", name="1", pitches=randomly(1)),
            sequence("Bonny Kate", name="2", pitches=randomly(2)),
            sequence("The Coolin", name="3", pitches=randomly(1)),
        ],
    )
    key = f"{ord('m') << 56 | 5:016x}"
    lines = [
        {"id": name, "split": "train", "keys": [key], "title": ""} for name in ("1", "2")
    ] + [{"id": "3", "split": "train", "keys": [], "title": ""}]  # fmt: skip
    (tmp_path / "tunes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    one, two, three = tunes.read(open_records(path)).groups.tolist()
    assert one == two != three


def test_a_corpus_with_one_tune(tmp_path, capsys):
    path = write(tmp_path / "r.tfrecord", [sequence("The Coolin", pitches=randomly(1))])
    assert tunes.require_titled(tunes.read(open_records(path)), path).groups.tolist() == [0]
    with pytest.raises(UserError, match="1 different tunes have 1 .* 2 are needed"):
        tunes.require_titled(tunes.read(open_records(path)), path, least=2)

    # Two versions of one tune are too few as well.
    versions = [sequence("The Coolin", pitches=randomly(seed)) for seed in (1, 2)]
    path = write(tmp_path / "s.tfrecord", versions)
    with pytest.raises(UserError, match="1 different"):
        tunes.require_titled(tunes.read(open_records(path)), path, least=2)
    assert capsys.readouterr().err.splitlines() == [
        "1 records: 1 tunes with a title",
        "1 records: 1 tunes with a title",
        "2 records: 2 tunes with a title",
    ]


def test_two_tunes_of_one_title_teach_nothing(tmp_path):
    # Names join tunes only by keys, and these have none.
    pair = [sequence("The Coolin", pitches=randomly(seed)) for seed in (1, 2)]
    apart = tunes.read(open_records(write(tmp_path / "r.tfrecord", pair)))._replace(
        groups=np.array([0, 1])
    )
    with pytest.raises(UserError, match="2 different tunes have 1 .* 2 are needed"):
        tunes.require_titled(apart, "r", least=2)


def test_tunes_without_titles_are_not_enough(tmp_path):
    path = write(tmp_path / "r.tfrecord", [sequence(pitches=randomly(1))])
    with pytest.raises(UserError, match="0 different tunes"):
        tunes.require_titled(tunes.read(open_records(path)), path)


def error_of(path) -> str:
    with pytest.raises(UserError) as error:
        tunes.read(open_records(str(path)))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_records_that_do_not_do(tmp_path):
    assert "no file matches" in error_of(tmp_path / "none*")
    assert "no record" in error_of(write(tmp_path / "empty.tfrecord", []))
    assert "no tune with a melody (2 with too few notes)" in error_of(
        write(tmp_path / "short.tfrecord", [sequence("One", pitches=[60])] * 2)
    )
    assert "not a NoteSequence" in error_of(write(tmp_path / "other.tfrecord", [b"\xff" * 9]))
    whole = pathlib.Path(write(tmp_path / "r.tfrecord", [sequence("The Coolin")])).read_bytes()
    for name, damaged in {
        "cut": whole[:-1],
        "flipped": whole[:30] + bytes([whole[30] ^ 1]) + whole[31:],
        "text": b"X:1\nT:The Coolin\nK:G\nGABc|\n",
    }.items():
        (tmp_path / name).write_bytes(damaged)
        assert str(tmp_path / name) in error_of(tmp_path / name)


def test_tensors_are_refused(tmp_path):
    path = write(tmp_path / "train.tfrecord-00000-of-00001", [b""])
    (tmp_path / "manifest.json").write_text('{"kind": "tensors"}')
    assert "holds tensors" in error_of(path)


def test_grooves_have_no_melody(groove_records):
    assert "no tune with a melody" in error_of(f"{groove_records}/train.tfrecord*")


def test_any_records_give_sound_tunes(tmp_path):
    rng = random.Random(3)
    pieces = ["The Coolin", "Coolin, The", "Untitled", "", "🎻", "A, or B the Best", "x" * 300]
    records = []
    for number in range(120):
        count = rng.choice([0, 1, 3, 4, 5, 60, 400])
        records.append(
            sequence(
                *rng.sample(pieces, rng.randrange(4)),
                name=str(number),
                pitches=[rng.randrange(128) for _ in range(count)],
                meter=rng.choice([None, (4, 4), (7, 16), (6, 8)]),
            )
        )
    found = tunes.read(open_records(write(tmp_path / "r.tfrecord", records)), guess_keys=True)
    assert len(found.tunes) + found.left_out.total() == 120
    assert sum(not tune.titles for tune in found.tunes) == found.untitled.total() > 0
    assert found.groups.shape == (len(found.tunes),)
    for one in found.tunes:
        assert len({title.fold for title in one.titles}) == len(one.titles)
        for each in (one.melody, one.guessed):
            assert each.notes.shape[1] == 4 and 4 <= len(each.notes) <= scale_degrees.MAX_NOTES
            assert (each.notes < tuple(scale_degrees.NOTE_SIZES.values())).all()
            assert each.meter < scale_degrees.METERS and each.mode < scale_degrees.MODES


# Files of users


def test_a_tunebook(tmp_path, capsys):
    path = written(
        tmp_path / "book.abc",
        "Some prose.\r\n\r\n"
        + "".join(
            [
                tune(1, "Ó Néill's Cáit 🎻"),
                tune(1, "Again"),
                tune(2),
                tune(3, "x" * 10_000),
                tune(4, "The\tTab \x1b[2J"),
                tune(5, "No Music", notes="z8|"),
                tune("", "No Number"),
            ]
        ).replace("\n", "\r\n"),
    )
    ids = [found.id for found in tunes.of_file(path)]
    assert ids == [
        f"{path}/1 Ó Néill's Cáit 🎻",
        f"{path}/1:10 Again",
        f"{path}/2",
        f"{path}/3 {'x' * 200}...",
        f"{path}/4 The Tab [2J",
        f"{path}/line44 No Number",
    ]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path}, line 37: left out: ")


def test_latin_1(tmp_path):
    path = written(tmp_path / "book.abc", tune(1, "Ó Néill's").encode("latin-1"))
    assert [found.id for found in tunes.of_file(path)] == [f"{path}/1 Ó Néill's"]


def test_midi_is_known_by_its_content(tmp_path):
    data = midi_writer.note_sequence_to_midi(sequence())
    for name in ("tune.mid", "TUNE.MID", "tune"):
        (found,) = tunes.of_file(written(tmp_path / name, data))
        assert len(found.notes) == len(SCALE) and found.id == str(tmp_path / name)


def test_names_of_files_that_are_no_text(tmp_path):
    data = midi_writer.note_sequence_to_midi(sequence())
    raw = os.fsencode(tmp_path) + b"/a\xff\n\tb"
    with open(raw + b".mid", "wb") as file:
        file.write(data)
    with open(raw + b".abc", "w") as file:
        file.write(tune(1, "The Coolin"))
    for suffix, end in ((b".mid", ".mid"), (b".abc", ".abc/1 The Coolin")):
        (found,) = tunes.of_file(os.fsdecode(raw + suffix))
        assert found.id.isprintable() and found.id.endswith(f" b{end}")


@pytest.mark.parametrize(
    "name, data, message",
    [
        ("empty.abc", b"", "has no tune in it"),
        ("prose.txt", b"Dear all,\n\nI have no tunes.\n", "has no tune in it"),
        ("page.abc", b"<html><body>no</body></html>", "has no tune in it"),
        ("empty.mid", b"", "not a MIDI file"),
        ("text.mid", b"X:1\nK:G\nGABc|\n", "not a MIDI file"),
        ("cut.mid", b"MThd\0\0\0\x06\0\1\0\1\0\xdcMTrk\0\0\1\0\0", "ends inside an event"),
        ("cut", b"MThd", "ends inside an event"),
        (
            "image.png",
            b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4,
            "neither MIDI nor MusicXML nor text",
        ),
        ("zeros.abc", b"\0" * 4000 + b"x", "neither MIDI nor MusicXML nor text"),
    ],
)
def test_files_that_are_no_tune(tmp_path, name, data, message):
    path = written(tmp_path / name, data)
    with pytest.raises(UserError, match=message) as error:
        list(tunes.of_file(path))
    assert path in one_line(error)


def test_a_damaged_spot_takes_no_tune_along(tmp_path):
    data = tune(1, "The Coolin").encode() + b"%\0\0\n\n" + tune(2, "Bonny Kate").encode()
    assert len(list(tunes.of_file(written(tmp_path / "book.abc", data)))) == 2


def test_a_tune_that_breaks_the_reader_takes_no_tune_along(tmp_path, monkeypatch, capsys):
    def read(text):
        if text.reference == "1":
            raise RuntimeError("a bug")
        return reading_read(text)

    reading_read = reader.read
    monkeypatch.setattr(reader, "read", read)
    path = written(tmp_path / "book.abc", tune(1, "The Coolin") + tune(2, "Bonny Kate"))
    assert [found.id for found in tunes.of_file(path)] == [f"{path}/2 Bonny Kate"]
    assert "line 1: left out: the reader failed: RuntimeError('a bug')" in capsys.readouterr().err
