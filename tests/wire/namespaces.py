"""Small networks made of Linux network namespaces: hosts, cables between them, addresses that come and go.

A `Network` is a handful of `Host`s; a cable is a veth pair with an `Interface` at each end. A host and what
runs on it are gone when the network is closed, also after a failed test; what a killed test run left behind
goes when the next one begins. Names carry the process id, so that test runs do not disturb each other, and
nothing of the machine's own network is touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path("/run/netns")
NAME = re.compile(r"rbtest-(\d+)-\d+-[a-z0-9]+")
CLONE_NEWNET = 0x40000000
END_S = 2

_networks = itertools.count(1)
_libc = ctypes.CDLL(None, use_errno=True)


class NetworkError(AssertionError):
    """A command that changes the network failed."""


def skip_without_namespaces() -> None:
    """Skip the test where namespaces cannot be made: in a container without rights, or not as root."""
    if why := _impossible():
        pytest.skip(f"network namespaces cannot be made here: {why}")


@functools.cache
def _impossible() -> str:
    if shutil.which("ip") is None:
        return "the program ip is missing (package iproute2)"
    if os.geteuid() != 0:
        return "only root can"
    try:
        with Network() as network:
            one = network.host("probe")
            network.cable(one, network.host("other"), "eth0")
            one.run("true")
    except NetworkError as error:
        return str(error)
    return ""


def _ip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], capture_output=True, text=True, timeout=20, check=False)


class Network:
    """Hosts that can reach each other by their cables only, and nothing else."""

    def __init__(self) -> None:
        self._number = next(_networks)
        self.hosts: dict[str, Host] = {}
        _remove_leftovers()

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def host(self, name: str, *, forwards: bool = False) -> Host:
        """A new host with nothing but its loopback.

        With `forwards` it is a router that drops what comes from where its answer would not go (RFC 3704).
        """
        host = self.hosts[name] = Host(name, f"rbtest-{os.getpid()}-{self._number}-{name}")
        host.ip("link", "set", "lo", "up")
        # Or packets of an address that is gone ask for the router in its name, and get no answer.
        host.set("conf/all/arp_announce", "2")
        if forwards:
            host.set("ip_forward", "1")
            host.set("conf/all/rp_filter", "1")
        return host

    def cable(
        self, one: Host, other: Host, name: str, *, other_name: str = ""
    ) -> tuple[Interface, Interface]:
        """Join two hosts: an interface `name` at each (`other_name` at the second), up, without address."""
        ends = Interface(one, name), Interface(other, other_name or name)
        peer = ["peer", "name", ends[1].name, "netns", other.namespace]
        one.ip("link", "add", "name", name, "type", "veth", *peer)
        for end in ends:
            end.up()
        return ends

    def close(self) -> None:
        """End whatever still runs on the hosts, and remove them."""
        for host in self.hosts.values():
            host.close()
        self.hosts.clear()


class Host:
    """One network namespace; programs run inside by `popen`, sockets are made inside by `entered`."""

    def __init__(self, name: str, namespace: str) -> None:
        self.name = name
        self.namespace = namespace
        made = _ip("netns", "add", namespace)
        if made.returncode != 0:
            raise NetworkError(made.stderr)

    @property
    def prefix(self) -> list[str]:
        """What to put before a command so that it runs here, in the same process."""
        return ["ip", "netns", "exec", self.namespace]

    def popen(self, words: Sequence[str | Path], **options: Any) -> subprocess.Popen[Any]:
        """Start a program here, as `subprocess.Popen`; its pid is the program's own."""
        return subprocess.Popen([*self.prefix, *map(str, words)], **options)

    def run(self, *words: str) -> str:
        """Run a program here to its end; what it printed. Raises NetworkError when it fails."""
        done = subprocess.run([*self.prefix, *words], capture_output=True, text=True, timeout=20, check=False)
        if done.returncode != 0:
            raise NetworkError(f"{self.name}: {shlex.join(words)}: {done.stderr or done.stdout}")
        return done.stdout

    def launcher(self, program: Path, folder: Path) -> Path:
        """A script that runs a program here, for those who want to start it themselves."""
        path = folder / f"{program.name}-on-{self.name}"
        path.write_text(f'#!/bin/sh\nexec {shlex.join([*self.prefix, str(program)])} "$@"\n')
        path.chmod(0o755)
        return path

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is here: sockets and threads made meanwhile stay here for ever."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        inside = os.open(FOLDER / self.namespace, os.O_RDONLY)
        try:
            _enter(inside)
            try:
                yield
            finally:
                _enter(before)
        finally:
            os.close(inside)
            os.close(before)

    def ip(self, *words: str) -> str:
        """`ip` for this host; what it printed. Raises NetworkError."""
        done = _ip("-n", self.namespace, *words)
        if done.returncode != 0:
            raise NetworkError(f"{self.name}: ip {shlex.join(words)}: {done.stderr}")
        return done.stdout

    def set(self, name: str, value: str) -> None:
        """Set one of the kernel's switches for IPv4, such as `ip_forward`."""
        with self.entered():
            Path("/proc/sys/net/ipv4", name).write_text(value)

    def close(self) -> None:
        """End what runs here, then remove the host with its ends of the cables."""
        _remove(self.namespace)


class Interface:
    """One end of a cable."""

    def __init__(self, host: Host, name: str) -> None:
        self.host = host
        self.name = name

    def add(self, address: str) -> None:
        """Give it an address such as 10.0.0.1/24 or fd00::1/64, good at once."""
        self.host.ip("address", "add", address, "dev", self.name, *(["nodad"] if ":" in address else []))

    def remove(self, address: str) -> None:
        """Take an address away, with the routes by it."""
        self.host.ip("address", "delete", address, "dev", self.name)

    def route(self, gateway: str, to: str = "default", *, metric: int = 0) -> None:
        """Send what goes to a network by a router there; of two routes the lower metric counts."""
        self.host.ip("route", "add", to, "via", gateway, "dev", self.name, "metric", str(metric))

    def up(self) -> None:
        """Plug it in."""
        self.host.ip("link", "set", self.name, "up")

    def down(self) -> None:
        """Pull it out: both ends lose the link, and this one its routes."""
        self.host.ip("link", "set", self.name, "down")


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _processes(namespace: str) -> list[int]:
    return [int(pid) for pid in _ip("netns", "pids", namespace).stdout.split() if int(pid) != os.getpid()]


def _remove(namespace: str) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        told: set[int] = set()
        deadline = time.monotonic() + END_S
        while (here := set(_processes(namespace))) and time.monotonic() < deadline:
            # Also those that `ip netns exec` brings here only now.
            for pid in here - told:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            told |= here
            time.sleep(0.02)
    _ip("netns", "delete", namespace)


def _remove_leftovers() -> None:
    """Remove what test runs left that were killed."""
    for path in FOLDER.glob("rbtest-*") if FOLDER.exists() else ():
        name = NAME.fullmatch(path.name)
        if name and not Path("/proc", name[1]).exists():
            _remove(path.name)
