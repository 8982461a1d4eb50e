"""A worker process that does what the tests tell it."""

import os
import pathlib
import sys
import time

from pipelines.runtime import worker_processes
from pipelines.runtime.app import UserError


class SmallWorker:
    """Does what a name says: "KIND WHAT"."""

    def __init__(self, folder: str, *more: str):
        if more:
            raise UserError(f"too much: {more[0]}")
        self._folder = pathlib.Path(folder)

    def process(self, name: str) -> None:
        """Does one of a few kinds of things, then notes the process in a file of the name."""
        kind, _, what = name.partition(" ")
        if kind == "print":
            print(what, flush=True)
            os.write(1, b'["done", "all of it"]\n')
            assert sys.stdin.read() == "" and os.read(0, 1) == b""
        elif kind == "wait":
            (self._folder / "waiting").touch()
            time.sleep(float(what))
        elif kind == "bad":
            raise UserError(what)
        elif kind == "absent":
            open(self._folder / what).close()
        elif kind == "bug":
            raise ValueError(what)
        with open(self._folder / name, "x") as file:
            file.write(str(os.getpid()))


if __name__ == "__main__":
    worker_processes.serve(SmallWorker)
