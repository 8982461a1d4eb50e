"""Machines for a cluster to stand on: network namespaces of this one, each with an address.

What runs in one reaches the others, and is reached, by the network alone: its loopback interface is
its own. The disk is shared, as a mount would be. It takes root on Linux, and the program `ip`.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import psutil

from pipelines.runtime.app import UserError

# Networks for documentation (RFC 5737); one is taken that this machine is not in.
_NETWORKS = ("198.51.100", "203.0.113", "192.0.2")
# What such a network has addresses for, beside this machine's.
_MOST = 250


class Machine(NamedTuple):
    """A machine.

    Attributes:
      address: its own, on the network.
      name: of its namespace; "" for this machine itself.
    """

    address: str
    name: str = ""

    @property
    def inside(self) -> list[str]:
        """What to put before a command that is to run on it."""
        return ["ip", "netns", "exec", self.name] if self.name else []

    @property
    def bind(self) -> str:
        """What its programs listen on.

        A JobManager calls its own store of files "localhost", so its address alone would not do.
        """
        return "0.0.0.0" if self.name else self.address

    def unplug(self) -> None:
        """Takes its network away; this machine itself keeps its own."""
        _ip("-netns", self.name, "link", "set", "eth0", "down")


def why_not() -> str | None:
    """Why there can be no such machines here; None where there can."""
    if shutil.which("ip") is None:
        return "no program `ip` here, and so no network namespaces"
    try:
        with network(1) as (machine,):
            _ip(*machine.inside[1:], "true")
    except subprocess.CalledProcessError as error:
        return f"no machines of network namespaces here: {error.stderr.decode().strip()}"
    except UserError as error:
        return str(error)
    return None


@contextlib.contextmanager
def network(count: int) -> Iterator[list[Machine]]:
    """Makes machines and a network that joins them and this one, and removes them in the end.

    Args:
      count: how many, at most 250.

    Raises:
      UserError: for more, or where no network is free.
      subprocess.CalledProcessError: where that is not allowed.
    """
    if count > _MOST:
        raise UserError(f"{count} machines are more than the {_MOST} that one network has")
    bridge, begin = f"rg{os.getpid()}", _free_network()
    machines = [
        Machine(f"{begin}.{2 + number}", f"reelgroove-{os.getpid()}-{number}")
        for number in range(count)
    ]
    with contextlib.ExitStack() as stack:
        _ip("link", "add", bridge, "type", "bridge")
        stack.callback(_ip, "link", "delete", bridge)
        _ip("address", "add", f"{begin}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for number, machine in enumerate(machines):
            _ip("netns", "add", machine.name)
            # The end of its cable here goes with it.
            stack.callback(_ip, "netns", "delete", machine.name)
            end = f"{bridge}-{number}"
            _ip("link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", machine.name)
            _ip("link", "set", end, "master", bridge, "up")
            for do in (
                ["link", "set", "lo", "up"],
                ["address", "add", f"{machine.address}/24", "dev", "eth0"],
                ["link", "set", "eth0", "up"],
            ):
                _ip("-netns", machine.name, *do)
        yield machines


def _free_network() -> str:
    taken = [each.address for found in psutil.net_if_addrs().values() for each in found]
    for begin in _NETWORKS:
        if not any(address.startswith(f"{begin}.") for address in taken):
            return begin
    raise UserError(f"this machine is in all of the networks {', '.join(_NETWORKS)}")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
