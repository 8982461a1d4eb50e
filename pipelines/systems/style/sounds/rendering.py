"""Renders performances of records with one sound, or with two as source and target of a transfer.

Two sounds make pairs: files of the same name in the folders `source` and `target` are the same
performance, so the true target of a transfer is known. Validation and test are always pairs. In
training each performance is rendered with one of the sounds alone, unless pairs are asked for:
what learns from unpaired sound must not meet the same performance on both sides.
"""

import hashlib
import json
import os
import pathlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.audio import distances, files, resampling, synthesis
from pipelines.audio.font_library import Sound
from pipelines.audio.presets import DRUM_BANK
from pipelines.runtime.app import UserError, say
from pipelines.runtime.files import json_line, new_folder, read_regular, write_json, writing
from pipelines.runtime.progress import Progress
from pipelines.systems.style.sounds import performances
from pipelines.systems.style.sounds.performances import (
    SOURCE,
    TARGET,
    Listing,
    Performance,
    Rejected,
)

FORMATS = ("flac", "wav")
_MOST_SUMMARY = 1 << 26  # Bytes.
MANIFEST, REJECTED, SUMMARY = "manifest.jsonl", "rejected.jsonl", "render.json"
# Two sounds that are nearer than this are hardly two: in TimGM6mb the kit "Jazz" is "Standard".
LEAST_DISTANCE = 5.0  # dB.
_SAMPLE, _SAMPLE_SECONDS = 8, 20
_WINDOW, _HOP = 1024, 256  # At 16 kHz; other rates have windows as long in seconds.


class Settings(NamedTuple):
    """How to render.

    Attributes:
      rate: frames a second.
      ending: one of `FORMATS`.
      paired_training: whether training has every performance with both sounds.
      most: the performances of each split; None for all.
      synthesizer: as `synthesis.render` takes it.
    """

    rate: int = 16_000
    ending: str = "flac"
    paired_training: bool = False
    most: int | None = None
    synthesizer: str | None = None


def render(
    records: str, sounds: Sequence[Sound], output: str | os.PathLike, settings: Settings
) -> dict[str, Any]:
    """Renders performances into a new folder, which appears once it is complete.

    Args:
      records: a folder of NoteSequence records, or a pattern of their files.
      sounds: one, or two for pairs.
      output: the folder; it must not exist, or be empty.
      settings: how.

    Returns:
      What `render.json` says: the counts, with records = performances + rejected, and of two sounds
      how far they are apart.

    Raises:
      UserError: for records, sounds or a folder that cannot be used, and for two sounds that hardly
        differ.
    """
    if len({sound.preset.is_drums for sound in sounds}) > 1:
        names = " and ".join(sound.name for sound in sounds)
        raise UserError(f"{names}: one is a drum kit and one is not; name two of a kind")
    listing = performances.listed(records, sounds[0].preset, settings.most)
    distance = None
    if len(sounds) == 2:
        distance = require_different(sounds, listing.kept, settings)
    with new_folder(output) as folder:
        rows, silent = _render_all(folder, sounds, listing.kept, settings)
        rejected = listing.rejected + silent
        if len(rejected) == len(listing.kept) + len(listing.rejected):
            raise UserError(
                f"{sounds[0].name} is silent in all {len(rejected)} performances; name another"
            )
        _write_lines(folder / MANIFEST, rows)
        _write_lines(folder / REJECTED, (each._asdict() for each in rejected))
        summary = _summary(sounds, settings, listing, rejected, rows, distance)
        write_json(folder / SUMMARY, summary)
    return summary


def is_of_drums(folder: str | os.PathLike) -> bool:
    """Whether a folder of `render` has drums; other folders have melodies.

    Raises:
      UserError: where its summary is damaged.
    """
    path = pathlib.Path(folder) / SUMMARY
    try:
        sounds = json.loads(read_regular(path, _MOST_SUMMARY))["sounds"]
        return any(int(sound["bank"]) == DRUM_BANK for sound in sounds)
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: damaged; render the folder anew") from error


def ids(paths: Iterable[pathlib.Path]) -> set[str]:
    """The ids of the performances that files of `render` are of; other files have none.

    Raises:
      UserError: where a manifest is damaged.
    """
    found = set()
    known: dict[pathlib.Path, dict[str, str]] = {}  # By folder, the id of each path in it.
    for path in paths:
        # SPLIT/NAME, below source or target where there are two sounds.
        for root in path.absolute().parents[1:3]:
            if root not in known:
                known[root] = _ids_of(root)
            name = path.absolute().relative_to(root).as_posix()
            if name in known[root]:
                found.add(known[root][name])
    return found


def _ids_of(folder: pathlib.Path) -> dict[str, str]:
    path = folder / MANIFEST
    try:
        lines = read_regular(path, _MOST_SUMMARY).splitlines()
        return {str(row["path"]): str(row["id"]) for row in map(json.loads, lines)}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: damaged; render the folder anew") from error


def require_different(
    sounds: Sequence[Sound], kept: Sequence[Performance], settings: Settings
) -> float:
    """The log-spectral distance of two sounds in dB, on a sample of performances.

    Raises:
      UserError: where it is under `LEAST_DISTANCE`.
    """
    chosen = performances.sample(list(kept), _SAMPLE)
    most = _SAMPLE_SECONDS * settings.rate
    played = [[_beginning(sound, each, settings, most) for each in chosen] for sound in sounds]
    found = [
        distance
        for source, target in zip(*played)
        if (distance := _distance(source, target, settings.rate)) is not None
    ]
    mean = float(np.mean(found)) if found else 0.0
    names = " and ".join(sound.name for sound in sounds)
    if mean < LEAST_DISTANCE:
        raise UserError(
            f"{names} are {mean:.1f} dB of log-spectral distance apart in {len(chosen)} "
            f"performances, less than {LEAST_DISTANCE:g}: they are nearly the same sound; name "
            "two others (./run.sh style sounds)"
        )
    say(f"{names} are {mean:.1f} dB of log-spectral distance apart")
    return mean


def _beginning(sound: Sound, each: Performance, settings: Settings, most: int) -> np.ndarray:
    """The first frames of a performance, and no more."""
    parts, frames = [], 0
    for block in _played(sound, each, settings):
        parts.append(block)
        frames += len(block)
        if frames >= most:
            break
    return np.concatenate(parts)[:most]


def _distance(source: np.ndarray, target: np.ndarray, rate: int) -> float | None:
    """None where the target is silent, or both are shorter than a window."""
    import librosa

    window = _WINDOW * rate // 16_000 // 2 * 2
    frames = max(len(source), len(target))
    if frames < window or not np.any(target):
        return None
    magnitudes = [
        np.abs(
            librosa.stft(
                np.pad(samples, (0, frames - len(samples))),
                n_fft=window,
                hop_length=_HOP * rate // 16_000,
            )
        )
        for samples in (source, target)
    ]
    return distances.log_spectral_distance(*magnitudes)


def _played(sound: Sound, each: Performance, settings: Settings) -> Iterator[np.ndarray]:
    """Blocks of mono at the rate that is wanted."""
    blocks = synthesis.blocks(
        each.read(),
        sound_font=sound.path,
        synthesizer=settings.synthesizer,
        preset=sound.preset,
    )
    return resampling.mono(blocks, synthesis.RATE, settings.rate)


def _render_all(
    folder: pathlib.Path,
    sounds: Sequence[Sound],
    kept: Sequence[Performance],
    settings: Settings,
) -> tuple[list[dict[str, Any]], list[Rejected]]:
    """Renders all files; a performance that is silent with one of its sounds is removed again.

    Sound by sound, since a synthesiser keeps the font that it read last.
    """
    jobs = [
        (role, sound, each)
        for role, sound in _roles(sounds)
        for each in kept
        if role in _roles_of(each, len(sounds), settings.paired_training)
    ]
    rows = {}
    silent = {}
    begun, seconds = time.monotonic(), 0.0
    with Progress("files rendered", len(jobs)) as progress:
        for number, (role, sound, each) in enumerate(jobs, start=1):
            row = _render_one(folder, role, sound, each, settings)
            rows[role, each] = row
            if row.pop("peak") == 0:
                silent[each] = Rejected(each.split, each.id, "silent", f"with {sound.name}")
            seconds += row["seconds"]
            progress.update(number, f"{seconds / (time.monotonic() - begun):.0f} x real time")
    for role, each in [key for key in rows if key[1] in silent]:
        (folder / rows.pop((role, each))["path"]).unlink()
    return list(rows.values()), list(silent.values())


def _roles(sounds: Sequence[Sound]) -> list[tuple[str, Sound]]:
    """The folder of each sound; of one sound none of its own."""
    return list(zip((SOURCE, TARGET) if len(sounds) == 2 else ("",), sounds))


def _roles_of(each: Performance, sounds: int, paired_training: bool) -> tuple[str, ...]:
    """In which folders a performance is."""
    if sounds == 1:
        return ("",)
    if each.split == "train" and not paired_training:
        return (each.half,)
    return (SOURCE, TARGET)


def _render_one(
    folder: pathlib.Path, role: str, sound: Sound, each: Performance, settings: Settings
) -> dict[str, Any]:
    """Writes a file; returns its line of the manifest, and its peak."""
    path = folder / role / each.split / f"{each.name}.{settings.ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    frames, peak = 0, 0.0

    def counted() -> Iterator[np.ndarray]:
        nonlocal frames, peak
        for block in _played(sound, each, settings):
            frames += len(block)
            peak = max(peak, float(np.abs(block).max(initial=0)))
            yield block

    files.write(path, counted(), settings.rate, channels=1)
    return {
        "split": each.split,
        "id": each.id,
        "sound": sound.name,
        "seconds": round(frames / settings.rate, 6),
        "path": path.relative_to(folder).as_posix(),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        **({"role": role, "half": each.half} if role else {}),
        "peak": peak,
    }


def _summary(
    sounds: Sequence[Sound],
    settings: Settings,
    listing: Listing,
    rejected: Sequence[Rejected],
    rows: Sequence[dict[str, Any]],
    distance: float | None,
) -> dict[str, Any]:
    total = len(listing.kept) + len(listing.rejected)
    kept = {(row["split"], row["id"]) for row in rows}
    if len(kept) + len(rejected) != total:
        raise RuntimeError(f"{len(kept)} rendered and {len(rejected)} rejected are not {total}")
    files_of = {
        role or "files": {
            split: sum(row["split"] == split and row.get("role", "") == role for row in rows)
            for split in dict.fromkeys(row["split"] for row in rows)
        }
        for role, _ in _roles(sounds)
    }
    reasons = [each.reason for each in rejected]
    return {
        "records": total,
        "performances": len(kept),
        "rejected": len(rejected),
        "reasons": {reason: reasons.count(reason) for reason in sorted(set(reasons))},
        "files": files_of,
        "seconds": round(sum(row["seconds"] for row in rows), 3),
        "sample_rate": settings.rate,
        "sounds": [
            {"name": sound.name, "bank": sound.preset.bank, "program": sound.preset.program}
            for sound in sounds
        ],
        **({} if distance is None else {"log_spectral_distance_db": round(distance, 3)}),
    }


def _write_lines(path: pathlib.Path, rows: Iterable[dict[str, Any]]) -> None:
    with writing(path) as file:
        file.writelines(map(json_line, rows))
