"""The trimmed contract: generated code is up to date, and each field and enum value is what pymilvus ships."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from peers.parts import ROOT, fetched

from exporter.milvus.pb import listing_view_pb2, milvus_refresh_pb2

GENERATED = ROOT / "exporter" / "milvus" / "pb"
OURS = milvus_refresh_pb2.DESCRIPTOR

THEIRS = """
import json
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2
from google.protobuf.descriptor import FieldDescriptor

def field(one):
    named = one.message_type or one.enum_type
    entry = one.message_type is not None and one.message_type.GetOptions().map_entry
    return [one.number, one.type, one.is_repeated, named.name if named and not entry else "", entry]

files = [module.DESCRIPTOR for module in (milvus_pb2, common_pb2, schema_pb2)]
print(json.dumps({
    "messages": {name: {one.name: field(one) for one in message.fields}
                 for file in files for name, message in file.message_types_by_name.items()},
    "enums": {name: {value.name: value.number for value in enum.values}
              for file in files for name, enum in file.enum_types_by_name.items()},
    "methods": {method.name: [method.input_type.name, method.output_type.name]
                for method in milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"].methods},
}))
"""


@cache
def pymilvus() -> dict[str, Any]:
    """Return pymilvus's messages, enums and methods. In a process of its own, as any user of pymilvus would be."""
    asked = [sys.executable, "-W", "ignore", "-c", THEIRS]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def shape(field: FieldDescriptor) -> list[Any]:
    """Number, wire type, repeated, name of the message or enum (not for map entries), whether it is a map."""
    named = field.message_type or field.enum_type
    entry = field.message_type is not None and field.message_type.GetOptions().map_entry
    return [field.number, field.type, field.is_repeated, named.name if named and not entry else "", entry]


@pytest.mark.parametrize("name", sorted(OURS.message_types_by_name))
def test_each_field_of_each_message_is_pymilvus_own(name: str) -> None:
    theirs = pymilvus()["messages"][name]
    ours = {field.name: shape(field) for field in OURS.message_types_by_name[name].fields}
    assert ours == {field: theirs.get(field) for field in ours}


def test_the_undecoded_view_of_a_listing_has_the_fields_of_the_listing() -> None:
    whole = milvus_refresh_pb2.ListRefreshExternalCollectionJobsResponse.DESCRIPTOR
    view = listing_view_pb2.ListingView.DESCRIPTOR
    assert {f.name: (f.number, f.is_repeated) for f in view.fields} == {
        f.name: (f.number, f.is_repeated) for f in whole.fields
    }
    assert {f.type for f in view.fields} == {FieldDescriptor.TYPE_BYTES}


@pytest.mark.parametrize("name", sorted(OURS.enum_types_by_name))
def test_each_enum_value_is_pymilvus_own(name: str) -> None:
    enum: EnumDescriptor = OURS.enum_types_by_name[name]
    ours = {value.name: value.number for value in enum.values}
    # Upstream's zero of DataType is called None, which is no name in Python's type stubs.
    if name == "DataType":
        ours["None"] = ours.pop("UnspecifiedDataType")
    assert ours == {value: pymilvus()["enums"][name].get(value) for value in ours}


def test_the_states_of_a_job_are_all_of_pymilvus_states() -> None:
    enum = OURS.enum_types_by_name["RefreshExternalCollectionState"]
    assert {value.name: value.number for value in enum.values} == pymilvus()["enums"][enum.name]


@pytest.mark.parametrize(
    "method",
    [
        "Connect",
        "GetVersion",
        "CheckHealth",
        "ListDatabases",
        "DescribeDatabase",
        "ShowCollections",
        "DescribeCollection",
        "BatchDescribeCollection",
        "RefreshExternalCollection",
        "GetRefreshExternalCollectionProgress",
        "ListRefreshExternalCollectionJobs",
    ],
)
def test_each_method_takes_and_gives_the_messages_of_its_name(method: str) -> None:
    assert pymilvus()["methods"][method] == [f"{method}Request", f"{method}Response"]
    assert {f"{method}Request", f"{method}Response"} <= set(OURS.message_types_by_name)


def test_our_package_is_not_milvus_own_so_that_pymilvus_fits_into_the_same_process() -> None:
    both = "import exporter.milvus.pb.milvus_refresh_pb2, pymilvus.grpc_gen.milvus_pb2"
    asked = [sys.executable, "-W", "ignore", "-c", both]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.real
def test_the_generated_code_is_what_the_proto_file_says_now(tmp_path: Path) -> None:
    generator = fetched("generator", "bin/python")
    outputs = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    files = [path.name for path in (ROOT / "proto").glob("*.proto")]
    line = [str(generator), "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}", *outputs, *files]
    subprocess.run(line, check=True, timeout=60)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {name: (GENERATED / name).read_text() for name in made}, "run `make proto`"
    assert set(made) == {f"{Path(name).stem}_pb2.{ending}" for name in files for ending in ("py", "pyi")}
