"""Converts NoteSequence records to training tensors for one config, for the `tensors` job.

The job's process lists where in the shards the NoteSequences are; workers convert them in batches
(`beam_batches`).
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from configs import ConfigRef
from pipelines.examples import fingerprint, report
from pipelines.examples.worker import TensorBatch
from pipelines.records import address_folder, beam_batches, tfrecord
from pipelines.records.manifest import REJECTED, open_folder, record_files, split_pattern
from pipelines.runtime import beam_files, beam_runner, storage, storage_copies
from pipelines.runtime.app import UserError, say

# To import TensorFlow takes a worker process as long as to convert 10,000 NoteSequences. That is
# five times as many as repay a worker of `convert`, for which the default is made.
_COST_OF_A_WORKER = 5


def convert(
    ref: ConfigRef,
    where: str,
    output: str,
    *,
    num_shards: int = 4,
    pipeline_arguments: Sequence[str] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Converts a folder of NoteSequence records to one of tensors.

    Args:
      ref: names the config.
      where: a finished folder of NoteSequence records, also in a bucket.
      output: the folder for the tensors, also in a bucket.
      num_shards: how many files for each split.
      pipeline_arguments: Beam's options; by default those that suit the size of the input.
      overwrite: whether to replace an older run in `output`.

    Returns:
      The manifest.

    Raises:
      UserError: for an unknown config, unusable input or output, if no piece gave an example, or
        if what the converter makes of one cannot be stored.
    """
    # Workers may have another working directory.
    where, output = storage.absolute(where), storage.absolute(output)
    beam_files.configure(pipeline_arguments or ())
    ref = ref.absolute()
    config = ref.build()
    about = fingerprint.describe(config)
    here = storage_copies.local_folder(where)
    source = open_folder(here)
    # Replacing the tensors of an older run would remove the records that these are made of.
    if storage.real(where) == storage.real(output):
        raise UserError(f"{output}: is --input as well; name another --output")
    for line in fingerprint.left_out(config):
        say(f"{ref.name}: {line}")
    with address_folder.making(output, overwrite) as folder:
        sources = sum(report.records_of(source).values())
        batches = beam_batches.write(folder.shared, _batches(where, here, source))
        if pipeline_arguments is None:
            pipeline_arguments = beam_runner.default_arguments(sources // _COST_OF_A_WORKER)

        beam_batches.run(
            folder,
            batches,
            TensorBatch,
            (folder.shared, *ref),
            pipeline_arguments,
            sources,
            "NoteSequences converted",
        )
        manifest = folder.finish(
            "tensors",
            source["corpus"],
            num_shards,
            sources,
            {"config": ref.name, **about},
            tunes=here,
        )
    say(
        f"{manifest['examples']} examples from {manifest['used']} of {manifest['read']} "
        f"NoteSequences; {REJECTED} says why the others gave none"
    )
    return manifest


def _batches(
    where: str, here: str, source: dict[str, Any]
) -> Iterator[list[tuple[str, str, int, int]]]:
    """Divides the input's records into batches of one range each.

    A range is a split, the path of one of its shards, the offset of a record in it, and how many
    records follow from there.

    Args:
      where: the folder.
      here: where this process finds its files.
      source: its manifest.

    Raises:
      UserError: where the folder does not have as many records as its manifest says.
    """
    expected = report.records_of(source)
    size = beam_batches.batch_size(sum(expected.values()))
    for split, count in expected.items():
        found = 0
        for path in record_files(split_pattern(here, split)) if count else ():
            of_worker = f"{where}/{os.path.basename(path)}"
            offsets = [offset for offset, _ in tfrecord.read_at(path)]
            for start in range(0, len(offsets), size):
                yield [(split, of_worker, offsets[start], len(offsets[start : start + size]))]
            found += len(offsets)
        report.require_all(where, split, count, found)
