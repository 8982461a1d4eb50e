"""A worker of Beam, which a TaskManager starts as a process of its own and tells its addresses.

A cluster's folder has a script `worker` that runs this with the Python that the cluster was
started by, and `cluster options` names the script (--environment_type=PROCESS). It does what the
boot program of Beam's containers does, but for installing what the job's --setup_file names: the
project has to be there. It listens on nothing, and ends where the TaskManager ends.
"""

import os

import grpc
from absl import flags
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
from apache_beam.runners.worker import sdk_worker_main
from google.protobuf import json_format, text_format

from pipelines.runtime import app

FLAGS = flags.FLAGS


def main() -> None:
    """Asks the TaskManager what to connect to, and works for it until it hangs up."""
    with grpc.insecure_channel(FLAGS.provision_endpoint) as channel:
        stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        info = stub.GetProvisionInfo(request, metadata=[("worker_id", FLAGS.id)]).info
    os.environ["WORKER_ID"] = FLAGS.id
    os.environ["PIPELINE_OPTIONS"] = json_format.MessageToJson(info.pipeline_options)
    os.environ["RUNNER_CAPABILITIES"] = " ".join(info.runner_capabilities)
    for kind, endpoint in (
        ("CONTROL", info.control_endpoint),
        ("LOGGING", info.logging_endpoint),
        ("STATUS", info.status_endpoint),
    ):
        if endpoint.url:
            described = text_format.MessageToString(endpoint)
            os.environ[f"{kind}_API_SERVICE_DESCRIPTOR"] = described
    sdk_worker_main.main([])


def run() -> None:
    """Works as the command line says."""
    flags.DEFINE_string("id", None, "What the TaskManager calls this worker.")
    flags.DEFINE_string("provision_endpoint", None, "Where it tells the other addresses.")
    app.run(main, required=("id", "provision_endpoint"))


if __name__ == "__main__":
    run()
