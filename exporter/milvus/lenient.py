"""Messages with text that is not UTF-8: each bad byte becomes U+FFFD and the rest of the message is kept.

proto3 rejects a whole message for one such text. The same messages with ``bytes`` in place of ``string`` are the same
on the wire, and accept it.
"""

from __future__ import annotations

from functools import cache
from typing import TypeVar

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from exporter.milvus.pb import milvus_refresh_pb2 as pb

Answer = TypeVar("Answer", bound=Message)


def repaired(kind: type[Answer], raw: bytes) -> Answer:
    """Decode ``raw``. Raises :class:`google.protobuf.message.DecodeError` if more than its text is damaged."""
    message = _with_bytes(kind.DESCRIPTOR.full_name).FromString(raw)
    _repair(message)
    return kind.FromString(message.SerializeToString())


@cache
def _with_bytes(name: str) -> type[Message]:
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(name))


@cache
def _pool() -> DescriptorPool:
    file = FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(file)
    for message in file.message_type:
        _use_bytes(message)
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _use_bytes(message: DescriptorProto) -> None:
    message.options.ClearField("map_entry")  # the key of a map cannot be bytes; a list of pairs is the same on the wire
    for field in message.field:
        if field.type == FieldDescriptorProto.TYPE_STRING:
            field.type = FieldDescriptorProto.TYPE_BYTES
    for nested in message.nested_type:
        _use_bytes(nested)


def _repair(message: Message) -> None:
    for field, value in message.ListFields():
        if isinstance(value, bytes):
            setattr(message, field.name, _utf8(value))
        elif isinstance(value, Message):
            _repair(value)
        elif field.type == FieldDescriptor.TYPE_BYTES:
            value[:] = [_utf8(one) for one in value]
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for one in value:
                _repair(one)


def _utf8(text: bytes) -> bytes:
    return text.decode(errors="replace").encode()
