"""How a reader answers: a JSON string of ABC a line on stdin, a JSON object a line on stdout.

It is imported by the programs beside it, in their own environments, and imports nothing of this
project.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO


def answer(read: Callable[[str], Any], version: str, answers: TextIO) -> None:
    """Says its version, then answers until there are no more lines."""
    print(json.dumps({"version": version}), file=answers, flush=True)
    for line in sys.stdin:
        abc = json.loads(line)
        start = time.perf_counter()
        try:
            result = {"voices": read(abc)}
        # Whatever it raises is what is being counted.
        except Exception as error:
            result = {"error": f"{type(error).__name__}: {error}"}
        result["seconds"] = time.perf_counter() - start
        print(json.dumps(result), file=answers, flush=True)
