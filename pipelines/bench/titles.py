"""Finding the nearest of many titles: the time of a query, and what it takes to open the index.

The vectors are random and of length one, and no query comes twice. If FAISS can be imported, its
exact search (IndexFlatIP) reads the same files.
"""

import functools
import importlib.util
import json
import pathlib
import statistics
import sys
import time

import numpy as np
from absl import flags

from pipelines.bench import Benchmark, Comparison
from pipelines.bench._compare import measure, numbers
from pipelines.bench.side import figures
from pipelines.systems.titles import index

FLAGS = flags.FLAGS
_TOP_K = 10


def _define_flags() -> None:
    flags.DEFINE_list("titles", ["1000000", "100000", "10000"], "How many titles to search.")
    flags.DEFINE_integer("dimensions", 64, "The size of a vector.", lower_bound=1)
    flags.DEFINE_integer("queries", 50, "How many queries to measure.", lower_bound=1)


def _prepare(scratch: str) -> Comparison:
    programs = {"numpy": "ours"}
    if importlib.util.find_spec("faiss"):
        programs["faiss"] = "FAISS's IndexFlatIP"
    cases = {f"{what}, {FLAGS.dimensions} dimensions": {} for what in programs.values()}
    for size in numbers("titles", "1000000,10000"):
        folder = pathlib.Path(scratch, f"index{size}")
        vectors = np.random.default_rng(size).standard_normal(
            (size, FLAGS.dimensions), dtype=np.float32
        )
        index.write(
            folder, "titles", vectors, ({"title": f"Number {at}"} for at in range(size)), {}
        )
        for program, runs in zip(programs, cases.values()):
            runs[f"{size} titles"] = functools.partial(_search, program, folder, FLAGS.queries)
    return Comparison(cases)


def _search(program: str, folder: pathlib.Path, queries: int, number: int) -> dict[str, float]:
    """Measures one of the programs in a process of its own."""
    log = pathlib.Path(f"{folder}-{program}-{number}.log")
    command = [sys.executable, "-m", "pipelines.bench.titles", program, str(folder), str(queries)]
    measure(command, str(log))
    return json.loads(log.read_text(encoding="utf-8").splitlines()[-1])


def _measured(program: str, folder: str, queries: int) -> dict[str, float]:
    """Opens an index and searches it; `_search` starts this."""
    start = time.perf_counter()
    if program == "faiss":
        import faiss

        vectors = np.load(pathlib.Path(folder, index.VECTORS), mmap_mode="r", allow_pickle=False)
        exact = faiss.IndexFlatIP(vectors.shape[1])
        for first in range(0, len(vectors), 100_000):
            exact.add(vectors[first : first + 100_000])
        dimensions = vectors.shape[1]

        def search(query):
            exact.search(query[np.newaxis], _TOP_K)
    else:
        opened = index.open_index(folder, "titles", {})
        dimensions = opened.vectors.shape[1]

        def search(query):
            for _, row in opened.search(query, _TOP_K):
                opened.entry(row)

    up = time.perf_counter() - start
    rng = np.random.default_rng(0)
    times = []
    for _ in range(queries):
        query = rng.standard_normal(dimensions, dtype=np.float32)
        query /= np.linalg.norm(query)
        begin = time.perf_counter()
        search(query)
        times.append((time.perf_counter() - begin) * 1000)
    return {
        "ms a query": round(statistics.median(times), 3),
        "ms of the slowest": round(max(times), 3),
        "seconds to open": round(up, 3),
        # Counted by the kernel, which sees short peaks too.
        "peak MiB": figures.memory()[1],
    }


BENCHMARK = Benchmark(
    name="titles",
    summary="search in an index of titles: time a query and memory over the number of titles",
    define_flags=_define_flags,
    required=(),
    prepare=_prepare,
    better={
        "ms a query": "less",
        "ms of the slowest": "less",
        "seconds to open": "less",
        "peak MiB": "less",
    },
)


if __name__ == "__main__":
    print(json.dumps(_measured(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
