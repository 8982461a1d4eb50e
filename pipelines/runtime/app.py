"""What every job shares: how it starts, how it ends, and what it says on stderr.

Results go to stdout, logs and progress to stderr, and the exit status is 0 only when the job did
its work.
"""

import contextlib
import errno
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence

from absl import flags, logging

from pipelines.runtime import closed_pipe, interruptions
from pipelines.runtime.nearest import did_you_mean
from pipelines.runtime.terminal import shown


class UserError(Exception):
    """Bad input. Users see the message, one line with the file and the fix, and no traceback."""


def _nothing(flag: str) -> str:
    """Explains no flag."""
    return ""


# Says why a job does not know a flag; "" where it has nothing to say. A command whose flags depend
# on its command line sets it.
explain_unknown_flag: Callable[[str], str] = _nothing


def run(
    main: Callable[..., None], required: Sequence[str] = (), with_arguments: bool = False
) -> None:
    """Parses the command line, runs `main` and turns bad input into one line.

    Args:
      main: the job; reads absl's FLAGS.
      required: names of flags without which the job cannot run; empty counts as missing.
      with_arguments: whether the job takes arguments that are not flags, before or after the flags;
        `main` is then called with the list of them. Otherwise there must be none.
    """
    logging.use_absl_handler()
    logging.set_verbosity(logging.WARNING)
    # This silences the C++ side of TensorFlow but for its errors.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # absl's own --help ends with status 1.
    flags.DEFINE_bool("help", False, "Show this help.", short_name="h", allow_override=True)
    flags.FLAGS.set_gnu_getopt(with_arguments)
    with ending():
        arguments = flags.FLAGS(sys.argv)[1:]
        if flags.FLAGS.help:
            print(sys.modules["__main__"].__doc__)
            print(flags.FLAGS.main_module_help())
            return
        if arguments and not with_arguments:
            raise UserError(f"{arguments[0]!r} is not a flag; write --name=value (see --help)")
        missing = [name for name in required if flags.FLAGS[name].value in (None, "")]
        if missing:
            raise UserError(
                "missing " + ", ".join(f"--{name}" for name in missing) + " (see --help)"
            )
        main(*([arguments] if with_arguments else []))


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """Turns bad input and interruptions into one line and an exit status.

    `run` does this. What does not parse its flags by absl uses it by itself.
    """
    interruptions.heed()
    try:
        with closed_pipe.quietly():
            yield
        # The work is done. While Python ends, a signal has nothing to stop and gives no traceback.
        interruptions.end_at_once()
    except flags.Error as error:
        _fail(f"{_about_flag(error)} (see --help)")
    except UserError as error:
        _fail(str(error))
    except OSError as error:
        # An unreadable file or a full disk is for the user to mend. An OSError without a reason
        # is a bug, and keeps its traceback.
        if error.strerror is None:
            raise
        _fail(about_file(error.filename, error.strerror))
    except KeyboardInterrupt as error:
        _end_interrupted(error)
    except Exception:
        # What a signal raises in the middle of a library's work may come out as another error.
        if (interruption := interruptions.came()) is None:
            raise
        _end_interrupted(interruption)


def _end_interrupted(error: KeyboardInterrupt) -> None:
    terminated = isinstance(error, interruptions.Terminated)
    status = 128 + (signal.SIGTERM if terminated else signal.SIGINT)
    interruptions.end_soon(status)
    print("terminated" if terminated else "interrupted", file=sys.stderr)
    sys.exit(status)


# What to do about some reasons, as the system words them.
_FIXES = {
    os.strerror(errno.EEXIST): "name another path, or move away what is there",
    os.strerror(errno.ENOTDIR): "a file stands where the path has a folder; correct the path",
    os.strerror(errno.EISDIR): "a file is needed here; name one",
}


def about_file(name: str | None, reason: str) -> str:
    """What to tell of an OSError: the file, if it is known, the reason, and what to do."""
    fix = _FIXES.get(reason) or (
        "check the path, its permissions and the space on its disk, and give the same command again"
    )
    return f"{name or 'writing'}: {reason}; {fix}"


def _about_flag(error: flags.Error) -> str:
    """What is wrong with the command line, and the nearest flag or value that exists."""
    if isinstance(error, flags.UnrecognizedFlagError):
        names = list(flags.FLAGS)
        if error.flagname.startswith("no"):
            names += [f"no{name}" for name in names if flags.FLAGS[name].boolean]
        hint = did_you_mean(error.flagname, names, "--")
        explained = explain_unknown_flag(error.flagname)
        return explained or f"there is no flag --{error.flagname}{hint}"
    choice = re.fullmatch(r"flag --(\w+)=(.*): value should be one of <(.*)>", str(error))
    if choice:
        name, value, names = choice[1], choice[2], choice[3].split("|")
        return f"--{name}={value}: must be {' or '.join(names)}{did_you_mean(value, names)}"
    number = re.fullmatch(r"(flag --\w+=.*): invalid literal for int\(\) .*", str(error))
    return f"{number[1]}: must be a whole number" if number else str(error)


def _fail(message: str) -> None:
    print(f"error: {shown(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(1)


def say(message: str) -> None:
    """Writes a line about the work to stderr."""
    print(shown(message), file=sys.stderr, flush=True)
