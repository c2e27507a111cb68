"""A Milvus that hands out prepared bytes, in a process of its own: ``python -m benchmarks.milvus``.

It prints its address, listens on loopback and ends when its standard input is closed. Two calls that no Milvus has
steer it: ``/benchmark/Load`` and ``/benchmark/Turn``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc

from benchmarks.world import DATABASES, FIRST_COLLECTION_ID, Shape, World, collection_name, collection_source, number_of
from exporter.milvus.pb import milvus_refresh_pb2 as pb

UNBOUNDED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
LIST_JOBS = "/milvus.proto.milvus.MilvusService/ListRefreshExternalCollectionJobs"
_CREATED_MS = 1_700_000_000_000


class _Answers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers by the last part of the method's name."""

    def __init__(self) -> None:
        self._world = World(1, 1)
        self._listing = self._world.answer()
        self._answers: dict[str, Callable[[bytes], bytes]] = {
            "ListRefreshExternalCollectionJobs": self._list,
            "ListDatabases": lambda _: pb.ListDatabasesResponse(db_names=DATABASES).SerializeToString(),
            "ShowCollections": self._show,
            "DescribeCollection": self._describe,
            "BatchDescribeCollection": self._describe_several,
            "Load": self._load,
            "Turn": self._turn,
        }

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        answer = self._answers.get(details.method.rpartition("/")[2])
        return answer and grpc.unary_unary_rpc_method_handler(lambda request, _: answer(request))

    def _list(self, request: bytes) -> bytes:
        name = pb.ListRefreshExternalCollectionJobsRequest.FromString(request).collection_name
        return self._world.by_name(name) if name else self._listing

    def _show(self, request: bytes) -> bytes:
        database = pb.ShowCollectionsRequest.FromString(request).db_name
        numbers = range(DATABASES.index(database), self._world.collections, len(DATABASES))
        return pb.ShowCollectionsResponse(
            collection_names=[collection_name(n) for n in numbers],
            collection_ids=[FIRST_COLLECTION_ID + n for n in numbers],
            created_utc_timestamps=[_CREATED_MS] * len(numbers),
        ).SerializeToString()

    def _describe(self, request: bytes) -> bytes:
        return _described(pb.DescribeCollectionRequest.FromString(request).collection_name).SerializeToString()

    def _describe_several(self, request: bytes) -> bytes:
        names = pb.BatchDescribeCollectionRequest.FromString(request).collection_name
        return pb.BatchDescribeCollectionResponse(responses=map(_described, names)).SerializeToString()

    def _load(self, request: bytes) -> bytes:
        order: dict[str, Any] = json.loads(request)
        self._world = World(order["jobs"], order["collections"], active=order["active"])
        self._listing = self._world.answer()
        return b"{}"

    def _turn(self, request: bytes) -> bytes:
        order: dict[str, Any] = json.loads(request)
        if "shape" in order:
            self._world.take(Shape(**order["shape"]))
        before = time.monotonic()
        self._world.turn()
        self._listing = self._world.answer()
        return json.dumps({"seconds": time.monotonic() - before, "bytes": len(self._listing)}).encode()


def _described(name: str) -> pb.DescribeCollectionResponse:
    number = number_of(name)
    schema = pb.CollectionSchema(name=name, external_source=collection_source(number))
    return pb.DescribeCollectionResponse(schema=schema, collection_name=name, collectionID=FIRST_COLLECTION_ID + number)


def main() -> None:
    """Serve until standard input ends."""
    server = grpc.server(futures.ThreadPoolExecutor(8), options=UNBOUNDED)
    server.add_generic_rpc_handlers((_Answers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.stop(0)


if __name__ == "__main__":
    main()
