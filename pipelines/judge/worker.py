"""What the workers of `judge --output` do. A worker process runs this module."""

from collections.abc import Iterator, Sequence

from pipelines.corpora import Source, abc
from pipelines.judge import reading, verdicts
from pipelines.judge.reading import Read
from pipelines.music.limits import Rejected
from pipelines.records.parts import Part, read_batch
from pipelines.runtime import cores, storage_copies, worker_processes


class JudgeBatch:
    """Judges a batch of sources, given its name.

    Args:
      parts: `Folder.shared`.
      judge_folder, names, against: as of `verdicts.open_judge`.
    """

    def __init__(self, parts: str, judge_folder: str, names: Sequence[str], against: Sequence[str]):
        cores.compute_on_one()
        self._parts = parts
        self._judge = verdicts.open_judge(judge_folder, names, against)

    def process(self, batch: str) -> None:
        """Judges one batch."""
        with Part(self._parts, batch) as part, part.writing("jsonl") as lines:
            for source in (Source(*line) for line in read_batch(self._parts, batch)):
                for read in _tunes(source):
                    verdict = verdicts.of(self._judge, read)
                    part.count(verdict.stage)
                    lines.write(verdicts.json_line(read, verdict))
                part.add_source()


def _tunes(source: Source) -> Iterator[Read]:
    """The tunes of a source; one that has none is told as what cannot be judged."""
    if "score" in source.facts:
        with storage_copies.passing_copy(source.facts["score"]) as path:
            for read in reading.read(path):
                yield read._replace(file=source.key)
        return
    file = source.facts["file"]
    number = 0
    try:
        for number, text in enumerate(abc.texts_of(source), start=1):
            yield reading.of_text(file, number, text)
    except Rejected as rejected:
        number += 1
        yield reading.unread(file, rejected.detail)
    if not number:
        yield reading.unread(file, "there is no tune in it")


if __name__ == "__main__":
    worker_processes.serve(JudgeBatch)
