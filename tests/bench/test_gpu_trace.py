"""What is read from traces of TensorFlow's profiler."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from pipelines.bench import Benchmark, Comparison, _compare, _gpu_trace, train

# In nanoseconds: stream, kernel, begin, end. Side by side, apart, one within another, end to end.
RAN = [
    (7, "gemm", 0, 40),
    (7, "gemm", 60, 100),
    (7, "MemcpyH2D", 120, 900),
    (7, "gates", 150, 200),
    (8, "gates", 20, 50),
    (8, "gemm", 160, 170),
    (8, "tanh", 200, 240),
    (8, "Memset", 240, 250),
    (8, "a", 399, 400),
]


# The stats by which TensorFlow's profiler says what an event is, as in cupti_collector.cc.
STATS = ["kernel_details", "memcpy_details", "memset_details", "correlation_id", "cuda_graph_id"]


def plane(ran, number=0, space=None):
    """Adds a GPU's plane, with the times that a real one has: of the line, and on it."""
    space = space or xplane_pb2.XSpace()
    plane = space.planes.add(name=f"/device:GPU:{number}")
    for i, name in enumerate(sorted({name for _, name, *_ in ran}), 1):
        plane.event_metadata[i].name = name
    identifiers = {metadata.name: i for i, metadata in plane.event_metadata.items()}
    for i, name in enumerate([*STATS, "regs:32 static_shared:0"], 1):
        plane.stat_metadata[i].name = name
    for stream in sorted({stream for stream, *_ in ran}):
        # Each line begins at another time, from which its events count.
        start = 1000 - stream
        line = plane.lines.add(name=f"Stream #{stream}(Kernel,MemcpyH2D)", timestamp_ns=start)
        for of, name, begin, end in ran:
            if of == stream:
                event = line.events.add(
                    metadata_id=identifiers[name],
                    offset_ps=(1000 + begin - start) * 1000,
                    duration_ps=(end - begin) * 1000,
                )
                kinds = {"Memcpy": "memcpy_details", "Memset": "memset_details"}
                details = kinds.get(name[:6], "kernel_details")
                # Details are kept once for all events that have the same.
                event.stats.add(metadata_id=STATS.index(details) + 1, ref_value=len(STATS) + 1)
    return space


def test_utilisation_launches_and_the_slowest_kernels():
    space = plane(RAN)
    # It shows again, as operations, what the streams have done.
    line = space.planes[0].lines.add(name="TensorFlow Ops", timestamp_ns=0)
    line.events.add(metadata_id=1, offset_ps=0, duration_ps=10**9)
    space.planes.add(name="/host:CPU").lines.add(name="Stream #1").events.add(duration_ps=10**9)
    [trace] = _gpu_trace.traces(space)
    assert trace.device == "GPU:0"
    # Kernels cover 0 to 50, 60 to 100, 150 to 240 and 399 to 400 of the 400 nanoseconds.
    assert trace.busy == pytest.approx((50 + 40 + 90 + 1) / 400)
    assert trace.seconds == pytest.approx(400e-9)
    # Without a stat that tells of a CUDA graph each kernel was launched by itself.
    assert (trace.ran, trace.launches, trace.copies) == (7, 7, 2)
    assert [(kernel.name, kernel.times) for kernel in trace.kernels] == [
        ("gemm", 3),  # 40 + 40 + 10
        ("gates", 2),  # 50 + 30
        ("tanh", 1),
        ("a", 1),
    ]
    assert [kernel.seconds for kernel in trace.kernels] == pytest.approx(
        [90e-9, 80e-9, 40e-9, 1e-9]
    )


def test_the_kernels_of_a_cuda_graph_are_launched_at_once():
    """Launches 10 and 11 are of one graph, of 3 kernels and of 1; 12 is of a kernel by itself."""
    space = plane([(7, "k", 10 * i, 10 * i + 5) for i in range(6)] + [(7, "MemcpyD2D", 70, 71)])
    [of_gpu] = space.planes
    launches = [10, 10, 10, 11, 12, None, 10]
    for event, launch in zip(of_gpu.lines[0].events, launches, strict=True):
        if launch is not None:
            event.stats.add(metadata_id=STATS.index("correlation_id") + 1, uint64_value=launch)
        if launch in (10, 11):
            event.stats.add(metadata_id=STATS.index("cuda_graph_id") + 1, uint64_value=3)
    [trace] = _gpu_trace.traces(space)
    assert (trace.ran, trace.launches, trace.copies) == (6, 4, 1)


def test_what_the_profiler_did_itself_hides_no_stream_and_is_no_kernel():
    """A stream on which it worked has another name (GetDeviceXLineName in cupti_collector.cc)."""
    space = plane([(7, "gemm", 0, 10), (7, "BUFFER_FLUSH", 20, 80), (8, "tanh", 90, 100)])
    flush = space.planes[0].lines[0].events[1]
    del flush.stats[:]
    space.planes[0].lines[0].name = "CUPTI overhead"
    [trace] = _gpu_trace.traces(space)
    assert (trace.ran, trace.launches, trace.copies) == (2, 2, 0)
    assert trace.busy == pytest.approx(20 / 100)
    assert {kernel.name for kernel in trace.kernels} == {"gemm", "tanh"}


def test_each_gpu_has_a_trace_and_one_without_kernels_has_none():
    space = plane([(1, "late", 5, 6)], number=1)
    plane([(1, "early", 0, 2), (1, "early", 3, 4)], number=0, space=space)
    plane([(1, "MemcpyD2H", 0, 5)], number=2, space=space)
    first, second = _gpu_trace.traces(space)
    assert (first.device, first.busy, first.ran) == ("GPU:0", pytest.approx(3 / 4), 2)
    assert (second.device, second.busy, second.ran) == ("GPU:1", 1.0, 1)


def test_the_share_that_is_busy_is_at_most_all_of_it():
    """Whatever overlaps, it lies between the longest kernel's part and 1."""
    rng = np.random.default_rng(3)
    for _ in range(50):
        begins = rng.integers(0, 100, 12)
        ran = [
            (int(rng.integers(1, 4)), "k", int(begin), int(begin + rng.integers(1, 30)))
            for begin in begins
        ]
        [trace] = _gpu_trace.traces(plane(ran))
        seen = np.zeros(200, bool)
        for _, _, begin, end in ran:
            seen[begin:end] = True
        span = max(end for *_, end in ran) - min(begin for *_, begin, _ in ran)
        assert trace.busy == pytest.approx(seen.sum() / span)


def test_a_file_is_read_and_the_newest_counts(tmp_path):
    for name, kernel in (("2026_01_01", "old"), ("2026_01_02", "new")):
        folder = tmp_path / "plugins" / "profile" / name
        folder.mkdir(parents=True)
        space = plane([(1, kernel, 0, 1)])
        space.warnings.append(f"{kernel} lost 3 events")
        (folder / "host.xplane.pb").write_bytes(space.SerializeToString())
    [trace], warnings = _gpu_trace.read(str(tmp_path))
    assert [kernel.name for kernel in trace.kernels] == ["new"]
    assert warnings == ["new lost 3 events"]
    assert _gpu_trace.read(str(tmp_path / "nowhere")) == ([], [])


def test_the_benchmark_of_training_says_what_a_step_does(tmp_path):
    """Two steps were traced."""
    folder = tmp_path / "plugins" / "profile" / "2026_01_01"
    folder.mkdir(parents=True)
    space = plane(RAN)
    space.warnings.append("lost 3 events")
    (folder / "host.xplane.pb").write_bytes(space.SerializeToString())
    assert train._traced(str(tmp_path), 2) == {
        "GPU busy, %": pytest.approx(45.25),
        "kernels a step": 3.5,
        "launches a step": 3.5,
        "copies a step": 1.0,
        "notes": [
            "GPU:0: 0.000 ms a step in 1.5 of gemm",
            "GPU:0: 0.000 ms a step in 1 of gates",
            "GPU:0: 0.000 ms a step in 0.5 of tanh",
            "the profiler: lost 3 events",
        ],
    }
    # Without a GPU there was nothing to trace.
    assert train._traced(str(tmp_path / "nowhere"), 2) == {}


def test_notes_are_kept_beside_the_numbers():
    def run(number):
        return {"steps/s": 2.0, "notes": [f"of round {number + 1}"]}

    benchmark = Benchmark(
        "made", "", lambda: None, (), lambda scratch: Comparison({"case": {"ours": run}}), {}
    )
    report = _compare.compare(benchmark, 2, None)
    assert report["cases"]["case"]["ours"] == [{"steps/s": 2.0}] * 2
    assert report["notes"] == [
        {"case": "case", "side": "ours", "round": number, "lines": [f"of round {number}"]}
        for number in (1, 2)
    ]


@pytest.mark.slow
def test_a_trace_of_the_cpu_has_no_gpu(tmp_path):
    """The file is where TensorFlow writes it, and of the form that is read."""
    tf.profiler.experimental.start(str(tmp_path))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        session.run(tf.matmul(tf.ones([4, 4]), tf.ones([4, 4])))
    tf.profiler.experimental.stop()
    [path] = tmp_path.glob("plugins/profile/*/*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    host = next(plane for plane in space.planes if plane.name == "/host:CPU")
    assert any("MatMul" in metadata.name for metadata in host.event_metadata.values())
    assert _gpu_trace.read(str(tmp_path))[0] == []
