"""One Milvus made of pymilvus's servicer for each module, emptied for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from peers.pymilvus_server import PymilvusServer

EMPTY = {"version": "v3.0.0", "databases": {"default": {"id": 1}}, "jobs": [], "faults": {}, "auth": {}, "rbac": {}}


@pytest.fixture(scope="module")
def _pymilvus_server() -> Iterator[PymilvusServer]:
    with PymilvusServer(**EMPTY) as server:
        yield server


@pytest.fixture
def milvus(_pymilvus_server: PymilvusServer) -> PymilvusServer:
    """An empty Milvus 3.0 that misbehaves in no way and has had no calls."""
    _pymilvus_server.ensure_running()
    _pymilvus_server.set(**EMPTY)
    _pymilvus_server.forget_calls()
    return _pymilvus_server
