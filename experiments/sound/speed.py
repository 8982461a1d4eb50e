"""Measures how many times as fast as it sounds music is rendered and encoded, on one core.

    ./.venv/bin/python -m experiments.sound.speed --records=groove --every=12
    ./.venv/bin/python -m experiments.sound.speed --records=tunes --every=20

The records are folders that `convert` made; of their validation split, each so-manieth piece is
taken. The times are those of the processor in this process. Prints a Markdown table.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable

import soundfile

from pipelines.audio import files, synthesis
from pipelines.music.note_sequence import NoteSequence
from pipelines.records import manifest, tfrecord


def _only_rendered(path: str, piece: NoteSequence) -> int:
    return sum(map(len, synthesis.blocks(piece)))


def _written(path: str, piece: NoteSequence) -> int:
    files.write(path, synthesis.blocks(piece), synthesis.RATE)
    return soundfile.info(path).frames


def _by_libsndfile(path: str, piece: NoteSequence) -> int:
    with soundfile.SoundFile(path, "w", synthesis.RATE, 2, "MPEG_LAYER_III", format="MP3") as file:
        for block in synthesis.blocks(piece):
            file.write(block)
    return soundfile.info(path).frames


_WAYS: dict[str, tuple[str, Callable[[str, NoteSequence], int]]] = {
    "rendered only": ("none", _only_rendered),
    "WAV": ("wav", _written),
    "FLAC": ("flac", _written),
    "MP3": ("mp3", _written),
    "MP3 by libsndfile": ("mp3", _by_libsndfile),
}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", required=True, help="folder of records that convert made")
    parser.add_argument("--every", type=int, default=1)
    given = parser.parse_args()
    paths = manifest.record_files(manifest.split_pattern(given.records, "validation"))
    records = [record for path in paths for record in tfrecord.read(path)]
    pieces = [NoteSequence.FromString(record) for record in records[:: given.every]]
    print("| | pieces | seconds of sound | times real time, all | least | median | kbit/s |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, (ending, way) in _WAYS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, f"sound.{ending}")
            sounding, taken, size = [], [], 0
            for piece in pieces:
                start = time.process_time()
                frames = way(path, piece)
                taken.append(time.process_time() - start)
                sounding.append(frames / synthesis.RATE)
                size += os.path.getsize(path) if os.path.exists(path) else 0
        rates = [seconds / time for seconds, time in zip(sounding, taken)]
        print(
            f"| {name} | {len(pieces)} | {sum(sounding):.0f} | {sum(sounding) / sum(taken):.0f} "
            f"| {min(rates):.0f} | {statistics.median(rates):.0f} "
            f"| {8 * size / 1000 / sum(sounding):.0f} |"
        )


if __name__ == "__main__":
    main()
