"""What a GPU did while it was traced, from the file that TensorFlow's profiler writes.

The file is an XSpace (tsl/profiler/protobuf/xplane.proto): it has a plane for each device, that has
a line for each stream, and that has what ran, one after another. What an event is, its stats say:
kernels have details of kernels, copies those of copies (xla/backends/profiler/gpu/
cupti_collector.cc). Other events, such as the profiler's own work, have neither.

XLA may put many kernels into a CUDA graph, which the host launches at once. Each of these kernels
has a stat with the graph's id then, and the correlation id of the launch that they share.
"""

import collections
import glob
import os
from collections.abc import Iterable
from typing import NamedTuple

_GPU = "/device:GPU:"
# Lines of streams. The second is the name of a stream on which the profiler worked as well.
_STREAMS = ("Stream #", "CUPTI overhead")
# Stats of an event (tsl/profiler/utils/xplane_schema.h).
_LAUNCH, _GRAPH = "correlation_id", "cuda_graph_id"
_KERNEL = "kernel_details"
_COPIES = ("memcpy_details", "memset_details")


class Kernel(NamedTuple):
    """A kernel by its name: how often it ran, and for how many seconds in all."""

    name: str
    times: int
    seconds: float


class GpuTrace(NamedTuple):
    """What one GPU did.

    Attributes:
      device: its name, e.g. "GPU:0".
      seconds: from the begin of the first kernel to the end of the last one.
      busy: in what part of these a kernel ran, 0 to 1; kernels side by side count once.
      launches: how often the host launched a kernel, or a CUDA graph with any number of them.
      copies: how many copies and fillings of memory there were, which are not kernels.
      kernels: the longest first.
    """

    device: str
    seconds: float
    busy: float
    launches: int
    copies: int
    kernels: list[Kernel]

    @property
    def ran(self) -> int:
        """How many kernels ran."""
        return sum(kernel.times for kernel in self.kernels)


def read(folder: str) -> tuple[list[GpuTrace], list[str]]:
    """Reads the newest trace in a folder.

    Args:
      folder: what tf.profiler.experimental.start was given.

    Returns:
      A trace for each GPU that ran kernels, and what the profiler warns of, such as events that it
      has lost. Both are empty where there is no file.
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    # Each trace is in a folder of the time when it was made.
    paths = glob.glob(os.path.join(glob.escape(folder), "plugins", "profile", "*", "*.xplane.pb"))
    if not paths:
        return [], []
    space = xplane_pb2.XSpace()
    with open(max(paths), "rb") as file:
        space.ParseFromString(file.read())
    return traces(space), [*space.errors, *space.warnings]


def traces(space) -> list[GpuTrace]:
    """The traces of the GPUs of an XSpace that ran kernels, by their names."""
    found = (_trace(plane) for plane in space.planes if plane.name.startswith(_GPU))
    return sorted((trace for trace in found if trace.kernels), key=lambda trace: trace.device)


def _trace(plane) -> GpuTrace:
    intervals = []
    durations = collections.defaultdict(list)
    single, graphs = 0, set()
    copies = 0
    for line in plane.lines:
        # Other lines show the same work again, by operation or by module.
        if not line.name.startswith(_STREAMS):
            continue
        for event in line.events:
            stats = {plane.stat_metadata[stat.metadata_id].name: stat for stat in event.stats}
            copies += any(name in stats for name in _COPIES)
            if _KERNEL not in stats:
                continue
            begin = line.timestamp_ns * 1000 + event.offset_ps
            intervals.append((begin, begin + event.duration_ps))
            durations[plane.event_metadata[event.metadata_id].name].append(event.duration_ps)
            if _GRAPH in stats and _LAUNCH in stats:
                launch = stats[_LAUNCH]
                graphs.add(getattr(launch, launch.WhichOneof("value")))
            else:
                single += 1
    kernels = [Kernel(name, len(each), sum(each) / 1e12) for name, each in durations.items()]
    kernels.sort(key=lambda kernel: (-kernel.seconds, kernel.name))
    device = plane.name.removeprefix("/device:")
    if not intervals:
        return GpuTrace(device, 0.0, 0.0, 0, copies, [])
    span = max(end for _, end in intervals) - min(begin for begin, _ in intervals)
    busy = _covered(intervals) / span if span else 0.0
    return GpuTrace(device, span / 1e12, busy, single + len(graphs), copies, kernels)


def _covered(intervals: Iterable[tuple[int, int]]) -> int:
    """How much of a line intervals (begin, end) cover together."""
    covered, reached = 0, None
    for begin, end in sorted(intervals):
        if reached is None or begin > reached:
            covered += end - begin
        else:
            covered += max(end - reached, 0)
        reached = end if reached is None else max(reached, end)
    return covered
