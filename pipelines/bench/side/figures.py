"""What both kinds of measurements have in common."""

import statistics

_STRETCHES = 5


def median_rate(times):
    """The median rate, a second, over stretches of events.

    Args:
      times: when each event was over, in seconds; the first only begins the second.
    """
    events = len(times) - 1
    stretches = min(_STRETCHES, events)
    bounds = [events * i // stretches for i in range(stretches + 1)]
    return statistics.median(
        (end - start) / (times[end] - times[start]) for start, end in zip(bounds, bounds[1:])
    )


def memory():
    """The memory of this process, as Linux counts it.

    Returns:
      What it holds and the most that it has held, in MiB.
    """
    with open("/proc/self/status", encoding="utf-8") as file:
        fields = dict(line.split(":", 1) for line in file)
    return tuple(round(int(fields[name].split()[0]) / 1024, 1) for name in ("VmRSS", "VmHWM"))
