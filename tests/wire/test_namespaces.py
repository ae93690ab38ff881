"""The networks that other tests are run in: who can reach whom, and that nothing of them remains."""

from __future__ import annotations

import contextlib
import socket
import subprocess

import pytest

from tests.wire.namespaces import FOLDER, Network, skip_without_namespaces

pytestmark = pytest.mark.wire

# Ends by SIGKILL alone.
STUBBORN = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]


@pytest.fixture(autouse=True)
def _possible() -> None:
    skip_without_namespaces()


def test_hosts_reach_each_other_by_their_router_alone() -> None:
    with Network() as network:
        router = network.host("router", forwards=True)
        near, near_end = network.cable(network.host("near"), router, "eth0")
        far, far_end = network.cable(network.host("far"), router, "eth0", other_name="eth1")
        near.add("10.1.0.2/24")
        near.route("10.1.0.1")
        near_end.add("10.1.0.1/24")
        far.add("10.2.0.2/24")
        far.route("10.2.0.1")
        far_end.add("10.2.0.1/24")
        with far.host.entered():
            listener = socket.create_server(("10.2.0.2", 7))
        with listener, near.host.entered():
            with socket.create_connection(("10.2.0.2", 7), timeout=10) as caller:
                assert caller.getsockname()[0] == "10.1.0.2"
            near.down()
            with pytest.raises(OSError, match="unreachable"):
                socket.create_connection(("10.2.0.2", 7), timeout=10)


def test_nothing_remains_of_a_network_when_its_test_fails() -> None:
    with contextlib.suppress(ZeroDivisionError), Network() as network:
        host = network.host("lost")
        path = FOLDER / host.namespace
        running = [host.popen(["sleep", "1000"]), host.popen(STUBBORN, stdout=subprocess.PIPE)]
        assert running[1].stdout is not None
        assert running[1].stdout.readline() == b"ready\n"
        assert path.exists()
        raise ZeroDivisionError
    assert not path.exists()
    assert [process.wait(10) for process in running] == [-15, -9]
    running[1].stdout.close()
