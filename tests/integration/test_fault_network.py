"""The network between the exporter and Milvus misbehaves in every way that a relay can play; one daemon meets them all.

What each row promises is in ``peers/ordeal.py``; the rows are those of docs/reliability.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from peers.exporter import Exporter
from peers.ordeal import endure, unharmed
from peers.pymilvus_server import PymilvusServer, databases, job
from peers.relay import Relay, Way


@dataclass(frozen=True)
class Fault:
    """A way of the network, the kind it is reported as, and for how many polls it lasts."""

    way: Way
    kind: str
    failures: int = 1


FAULTS = (
    Fault(Way.REFUSE, "unreachable", failures=2),
    Fault(Way.RESET, "unreachable"),
    Fault(Way.HANG_UP, "unreachable"),
    Fault(Way.SILENT, "deadline", failures=2),
    Fault(Way.HALF, "unreachable", failures=2),
    Fault(Way.DRIP, "deadline", failures=2),
    Fault(Way.WEB, "unreachable"),
)


@pytest.fixture(scope="module")
def server() -> Iterator[PymilvusServer]:
    # Long enough for an answer to be cut in its middle, and not to pass a byte at a time within a poll.
    many = {**job(0, "ext"), "repeat": 100, "step_ms": 10}
    with PymilvusServer(databases=databases(default=["ext"]), jobs=[many]) as server:
        yield server


@pytest.fixture(scope="module")
def relay(server: PymilvusServer) -> Iterator[Relay]:
    with Relay(server.port) as relay:
        yield relay


@pytest.fixture(scope="module")
def exporter(relay: Relay) -> Iterator[Exporter]:
    with Exporter(f"http://127.0.0.1:{relay.port}", "--inventory.interval", "1s") as exporter, unharmed(exporter):
        yield exporter


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.way.value)
def test_each_way_of_the_network(exporter: Exporter, relay: Relay, fault: Fault) -> None:
    """Known by its kind, nothing that was known is lost, good again at the next poll."""
    endure(exporter, lambda: relay.turn(fault.way), relay.turn, fault.kind, recovery=1, failures=fault.failures)
