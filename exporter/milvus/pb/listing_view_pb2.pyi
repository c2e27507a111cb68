from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ListingView(_message.Message):
    __slots__ = ("status", "jobs")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    status: bytes
    jobs: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, status: _Optional[bytes] = ..., jobs: _Optional[_Iterable[bytes]] = ...) -> None: ...
