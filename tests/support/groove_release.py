"""Small releases in the layout of the Groove MIDI Dataset, made for tests."""

import csv
import io
import pathlib
import zipfile

import mido

COLUMNS = (
    "drummer",
    "session",
    "id",
    "style",
    "bpm",
    "beat_type",
    "time_signature",
    "midi_filename",
    "audio_filename",
    "duration",
    "split",
)


def midi_bytes(*tracks, ticks_per_beat: int = 480) -> bytes:
    """A MIDI file from tracks of mido messages, times in delta ticks."""
    file = mido.MidiFile(type=1, ticks_per_beat=ticks_per_beat)
    file.tracks.extend(mido.MidiTrack(track) for track in tracks)
    stream = io.BytesIO()
    file.save(file=stream)
    return stream.getvalue()


def hits(*notes: tuple[int, int, int], length: int = 60) -> list:
    """Drum notes (pitch, velocity, delta ticks since the note before ended) as messages."""
    messages = []
    for pitch, velocity, delta in notes:
        messages.append(
            mido.Message("note_on", channel=9, note=pitch, velocity=velocity, time=delta)
        )
        messages.append(mido.Message("note_off", channel=9, note=pitch, time=length))
    return messages


def row(number: int, split: str = "train", **changed: str) -> dict[str, str]:
    """A row of info.csv for performance `number`, with columns changed as given."""
    made = {
        "drummer": "drummer1",
        "session": "drummer1/session1",
        "id": f"drummer1/session1/{number}",
        "style": "funk/groove1",
        "bpm": "138",
        "beat_type": "beat",
        "time_signature": "4-4",
        "midi_filename": f"drummer1/session1/{number}_funk-groove1_138_beat_4-4.mid",
        "audio_filename": "",
        "duration": "2.5",
        "split": split,
    }
    return {**made, **changed}


def release() -> tuple[list[dict[str, str]], dict[str, bytes]]:
    """Rows, and MIDI files by name, of 9, 2 and 3 performances, no two of them alike."""
    splits = ["train"] * 9 + ["validation"] * 2 + ["test"] * 3
    rows = [row(number, split) for number, split in enumerate(splits)]
    files = {}
    for number, each in enumerate(rows):
        start = [mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(100 + number))]
        notes = [(36 + (number + i) % 8, 1 + number * 7 + i, 60 + number) for i in range(30)]
        files[each["midi_filename"]] = midi_bytes(start + hits(*notes))
    return rows, files


def table(rows: list[dict[str, str]], columns=COLUMNS) -> bytes:
    """info.csv."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode("utf-8")


def write_folder(path: pathlib.Path, rows, files: dict[str, bytes]) -> pathlib.Path:
    """Writes a release as an unpacked folder; returns it."""
    for name, data in {"info.csv": table(rows), **files}.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def write_zip(path: pathlib.Path, rows, files: dict[str, bytes], root: str = "groove/"):
    """Writes a release as a zip archive; returns its path."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {"info.csv": table(rows), **files}.items():
            archive.writestr(root + name, data)
    return path
