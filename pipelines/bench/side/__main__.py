"""One side of a benchmark, in a process of its own.

    python pipelines/bench/side JOB.json RESULT.json

Both environments run this folder: it keeps to Python 3.8 and TensorFlow 2.9, and imports this
project's packages only where a job is for them. Every job says what to measure, "training" or
"input", and when its process was started, in seconds since the epoch; the modules of these names
say what else is in it. The result is what was measured, by name.
"""

import json
import sys

import reading
import training_steps

_MEASURES = {"training": training_steps.measure, "input": reading.measure}


def main(job_path, result_path):
    """Does a job."""
    with open(job_path, encoding="utf-8") as file:
        job = json.load(file)
    result = _MEASURES[job["measure"]](job)
    with open(result_path, "w", encoding="utf-8") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
