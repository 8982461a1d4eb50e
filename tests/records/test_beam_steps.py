"""The steps of the pipeline: nothing that goes from one to the next is ever unpickled."""

import apache_beam as beam
import pytest
from apache_beam.coders import coders
from apache_beam.runners.pipeline_context import PipelineContext

from pipelines.records import beam_steps
from tests.support import hostile
from tests.support.small_worker import SmallWorker

# Beam's names of its coders for bytes, str, pairs and groups; these decode nothing else.
STRICT = {
    "beam:coder:bytes:v1",
    "beam:coder:string_utf8:v1",
    "beam:coder:kv:v1",
    "beam:coder:iterable:v1",
    "beam:coder:global_window:v1",
}


def coders_of(build):
    """The coders of all elements of a pipeline, by their names, and of what these consist."""
    pipeline = beam.Pipeline(runner="FnApiRunner")
    build(pipeline)
    proto = pipeline.to_runner_api()
    context = PipelineContext(proto.components)
    return {
        (coder.spec.urn, name): context.coders.get_by_id(name)
        for name, coder in proto.components.coders.items()
    }


@pytest.mark.parametrize("processes", [0, 2])
def test_elements_have_strict_coders(tmp_path, processes):
    names = ["batch-000000000", "batch-000000001"]
    found = coders_of(lambda p: beam_steps.build(p, names, SmallWorker, [str(tmp_path)], processes))
    assert {urn for urn, _ in found} == STRICT
    marker = tmp_path / "marker"
    pickle = hostile.pickled(marker)
    # The other coders are made of these. They are no defence: beyond its end, Beam reads on.
    for urn, decoded in {"bytes": pickle, "string_utf8": pickle.decode()}.items():
        (coder,) = (coder for (name, _), coder in found.items() if name == f"beam:coder:{urn}:v1")
        assert coder.decode(pickle) == decoded
    assert not marker.exists()


def test_beams_coder_for_anything_unpickles(tmp_path):
    """This is why the elements of a pipeline need types, and `Create` and `Reshuffle` are out."""
    coders.FastPrimitivesCoder().decode(b"\xff" + hostile.pickled(tmp_path / "marker"))
    assert (tmp_path / "marker").exists()
    found = coders_of(lambda p: p | beam.Create(["a", "b"]) | beam.Reshuffle())
    assert "beam:coder:pickled_python:v1" in {urn for urn, _ in found}
