"""What a media worker asks of the operating system before it begins, and its command line."""

from __future__ import annotations

import argparse
import contextlib
import gc
import resource
import signal
import socket
import sys

from ringback.media.worker.control import worker_end
from ringback.media.worker.descriptors import DescriptorChannel
from ringback.media.worker.loop import Worker
from ringback.media.worker.priority import ask_for_priority
from ringback.media.worker.sockets import UdpPorts


def parse_ports(text: str) -> tuple[int, int]:
    """`20000-29999` as two numbers; ValueError if it is no range of ports."""
    first, _, last = text.partition("-")
    ports = int(first), int(last)
    if not 1024 <= ports[0] < ports[1] <= 0xFFFF:
        raise ValueError("a range of ports between 1024 and 65535")
    return ports


def raise_file_limit() -> None:
    """Open as many files as the system lets us: each pair of ports is two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(arguments: list[str] | None = None) -> None:
    """Run until the control socket ends or Shutdown comes."""
    parser = argparse.ArgumentParser(prog="ringback.media.worker")
    parser.add_argument(
        "--fd", type=int, required=True, help="inherited Unix stream socket to the control process"
    )
    parser.add_argument("--bind", default="127.0.0.1", help="IPv4 address for media; empty for none")
    parser.add_argument("--bind-ipv6", default="", help="IPv6 address for media; empty for none")
    parser.add_argument("--ports", type=parse_ports, default=(20000, 29999), help="range of UDP ports")
    parser.add_argument(
        "--descriptors", type=int, help="inherited Unix socket over which UDP sockets go to and fro"
    )
    parser.add_argument("--full-band", action="store_true", help="let Opus legs hear each other up to 20 kHz")
    parser.add_argument("--music", default="", help="WAV file in place of the built-in music")
    parser.add_argument(
        "--profile", default=None, help="write a cProfile of the worker to this file at the end"
    )
    options = parser.parse_args(arguments)
    # The control process decides when to end, not the terminal: Ctrl-C goes to both.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise_file_limit()
    ask_for_priority()
    connection = socket.socket(fileno=options.fd)
    channel = None
    if options.descriptors is not None:
        channel = DescriptorChannel(socket.socket(fileno=options.descriptors))
    ports = UdpPorts(options.bind, options.ports[0], options.ports[1], channel, options.bind_ipv6)
    worker = Worker(worker_end(connection), ports, full_band=options.full_band, own_music=options.music)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        if options.profile:
            import cProfile  # noqa: PLC0415

            profile = cProfile.Profile()
            profile.runcall(worker.run)
            profile.dump_stats(options.profile)
        else:
            worker.run()
    finally:
        ports.close()
        connection.close()
    sys.exit(0)
