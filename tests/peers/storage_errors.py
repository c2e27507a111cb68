"""Errors of the libraries that read a source, made on this machine: ``python storage_errors.py`` prints them as JSON.

Runs in the environment of the part ``storage``, which has pyarrow and pylance: Milvus reads Parquet through the same
Arrow C++ and AWS SDK, and Lance through the same Rust crate. Storage that answers with an error is an HTTP server on
loopback (``failing_storage.py``). The output is one object, situation -> text.

Buckets, folders and columns are named after other failures: a right class then does not come from a name.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from failing_storage import AZURE, GCS, S3, Storage

for variable in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("AWS_")]:
    del os.environ[variable]

import lance  # noqa: E402 - both read the environment
import pyarrow as pa  # noqa: E402
import pyarrow.compute as pc  # noqa: E402
import pyarrow.dataset as ds  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from pyarrow import fs  # noqa: E402

Situations = dict[str, Callable[[], object]]


def s3(address: str, scheme: str = "http") -> fs.S3FileSystem:
    return fs.S3FileSystem(
        access_key="key-id",
        secret_key="key",
        endpoint_override=address,
        scheme=scheme,
        region="us-east-1",
        connect_timeout=1,
        request_timeout=1,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
    )


def lance_s3(address: str, bucket: str, scheme: str = "http") -> object:
    options = {
        "aws_endpoint": f"{scheme}://{address}",
        "aws_access_key_id": "key-id",
        "aws_secret_access_key": "key",
        "aws_region": "us-east-1",
        "aws_virtual_hosted_style_request": "false",
        "allow_http": "true",
        "client_max_retries": "0",
        "client_retry_timeout": "1",
    }
    return lance.dataset(f"s3://{bucket}/forbidden.lance", storage_options=options)


def lance_azure(address: str, container: str) -> object:
    options = {
        "azure_storage_account_name": "account",
        "azure_storage_account_key": "a2V5",
        "azure_endpoint": f"http://{address}/account",
        "allow_http": "true",
        "client_max_retries": "0",
        "client_retry_timeout": "1",
    }
    return lance.dataset(f"az://{container}/forbidden.lance", storage_options=options)


def listing(files: fs.FileSystem, bucket: str) -> object:
    return files.get_file_info(fs.FileSelector(f"{bucket}/forbidden"))


def of_s3(storage: Storage) -> Situations:
    found: Situations = {}
    for code in S3:
        bucket = storage.s3_bucket(code)
        found[f"arrow s3 list {code}"] = lambda bucket=bucket: listing(s3(storage.address), bucket)
        found[f"lance s3 {code}"] = lambda bucket=bucket: lance_s3(storage.address, bucket)
    for status in ("301", "400", "403", "404", "503"):
        bucket = storage.bucket(int(status), "", content_type="application/xml")
        found[f"arrow s3 read {status}"] = lambda bucket=bucket: s3(storage.address).open_input_file(
            f"{bucket}/timeout/x"
        )
    proxy = storage.bucket(502, "<html><body>Bad Gateway</body></html>", content_type="text/html")
    found["arrow s3 list through a broken proxy"] = lambda: listing(s3(storage.address), proxy)
    found["lance s3 through a broken proxy"] = lambda: lance_s3(storage.address, proxy)
    return found


def of_azure_and_gcs(storage: Storage) -> Situations:
    found: Situations = {}
    for code, (status, message) in AZURE.items():
        text = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
        container = storage.bucket(status, text, content_type="application/xml", x_ms_error_code=code)
        found[f"lance azure {code}"] = lambda container=container: lance_azure(storage.address, container)
        if status != 503:  # its SDK tries again for minutes
            found[f"arrow azure list {code}"] = lambda container=container: listing(azure(storage.address), container)
    for code, message in GCS.items():
        error = {"code": int(code), "message": message, "errors": [{"message": message, "domain": "global"}]}
        bucket = storage.bucket(int(code), json.dumps({"error": error}), content_type="application/json")
        found[f"arrow gcs list {code}"] = lambda bucket=bucket: listing(gcs(storage.address), bucket)
    found["arrow gcs list refused"] = lambda: listing(gcs("127.0.0.1:1"), "unauthorized")
    return found


def azure(address: str) -> fs.AzureFileSystem:
    return fs.AzureFileSystem(
        "account",
        account_key="a2V5",
        blob_storage_authority=address,
        blob_storage_scheme="http",
        dfs_storage_authority=address,
        dfs_storage_scheme="http",
    )


def gcs(address: str) -> fs.GcsFileSystem:
    limit = timedelta(seconds=1)
    return fs.GcsFileSystem(anonymous=True, endpoint_override=address, scheme="http", retry_time_limit=limit)


def of_the_network(storage: Storage) -> Situations:
    found: Situations = {}
    for situation, address in {"refused": "127.0.0.1:1", "unknown host": "no-such-host.invalid:9000"}.items():
        found[f"arrow s3 list {situation}"] = lambda address=address: listing(s3(address), "unauthorized")
        found[f"lance s3 {situation}"] = lambda address=address: lance_s3(address, "unauthorized")
    found["arrow s3 list TLS to a plain port"] = lambda: listing(s3(storage.address, "https"), "unauthorized")
    found["lance s3 TLS to a plain port"] = lambda: lance_s3(storage.address, "unauthorized", "https")
    return found


def of_parquet(folder: Path) -> Situations:
    """Files that are not Parquet, and columns that do not fit."""
    table = pa.table(
        {"id": [1, 2], "forbidden": ["a", "b"], "vector": pa.array([[1.0], [2.0]], pa.list_(pa.float32()))}
    )
    good = folder / "good.parquet"
    pq.write_table(table, good)
    whole = good.read_bytes()
    files = {
        "zero bytes": b"",
        "four bytes": b"PAR1",
        "eight bytes": b"PAR1PAR1",
        "wrong magic": b"x" * 200,
        "a CSV": b"id,forbidden\n1,a\n",
        "cut": whole[:60] + whole[-200:],
        "encrypted": whole[:-4] + b"PARE",
        "broken footer": b"PAR1" + b"\xff" * 200 + (150).to_bytes(4, "little") + b"PAR1",
        "broken pages": whole[:4] + bytes(byte ^ 0xFF for byte in whole[4:60]) + whole[60:],
    }
    found: Situations = {}
    for situation, content in files.items():
        path = folder / f"{situation}.parquet"
        path.write_bytes(content)
        found[f"arrow parquet {situation}"] = lambda path=path: pq.ParquetFile(path).read()
        found[f"arrow dataset {situation}"] = lambda path=path: ds.dataset(path, format="parquet").to_table()
    dataset = ds.dataset(good, format="parquet")
    columns: dict[str, tuple[str, pa.DataType]] = {
        "integers into lists": ("id", pa.list_(pa.int64())),
        "texts into integers": ("forbidden", pa.int64()),
        "a vector of another dimension": ("vector", pa.list_(pa.float32(), 4)),
    }
    for situation, (name, kind) in columns.items():
        found[f"arrow cast {situation}"] = lambda name=name, kind=kind: pc.cast(table[name], kind)
    return found | {
        "arrow missing file": lambda: fs.LocalFileSystem().open_input_file(str(folder / "none.parquet")),
        "arrow missing folder": lambda: listing(fs.LocalFileSystem(), str(folder)),
        "arrow missing column": lambda: dataset.to_table(columns=["nosuchkey"]),
        "arrow missing column in a filter": lambda: dataset.to_table(filter=pc.field("unauthorized") > 1),
        "arrow files that disagree": lambda: pa.unify_schemas([table.schema, pa.schema([("id", pa.string())])]),
        "arrow tables that disagree": lambda: pa.concat_tables([table, pa.table({"timeout": [1]})]),
        "arrow a scheme without a reader": lambda: fs.FileSystem.from_uri("volume://timeout/x"),
    }


def of_lance(folder: Path) -> Situations:
    """Data sets that are missing or broken. Each is written anew: what was read once is remembered in the process."""
    table = pa.table({"id": [1, 2], "forbidden": ["a", "b"]})

    def written(name: str) -> Path:
        path = folder / f"{name}.lance"
        lance.write_dataset(table, str(path))
        return path

    def with_file(kind: str, content: bytes | None) -> Path:
        path = written(f"{kind} {len(list(folder.iterdir()))}")
        for file in (path / kind).glob("*.manifest" if kind == "_versions" else "*.lance"):
            if content is None:
                file.unlink()
            else:
                file.write_bytes(content)
        return path

    def read(path: Path) -> object:
        return lance.dataset(str(path)).to_table()

    good, without = written("good"), written("without")
    shutil.rmtree(without / "_versions")
    (folder / "empty.lance").mkdir()
    found: Situations = {
        "lance missing": lambda: read(folder / "none.lance"),
        "lance an empty folder": lambda: read(folder / "empty.lance"),
        "lance without versions": lambda: read(without),
        "lance missing version": lambda: lance.dataset(str(good), version=9),
        "lance missing column": lambda: lance.dataset(str(good)).to_table(columns=["nosuchkey"]),
        "lance missing column in a filter": lambda: lance.dataset(str(good)).to_table(filter="unauthorized > 1"),
        "lance a scheme without a reader": lambda: lance.dataset("volume://timeout/x"),
        "lance a source without a bucket": lambda: lance.dataset("s3://"),
    }
    contents = {"zero bytes": b"", "four bytes": b"LANC", "wrong magic": b"x" * 1000, "missing": None}
    for kind in ("data", "_versions"):
        for situation, content in contents.items():
            path = with_file(kind, content)
            found[f"lance {kind} {situation}"] = lambda path=path: read(path)
    return found


def text_of(call: Callable[[], object]) -> str:
    """Return the text of the error, without the class that Python gives it."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - every kind of error is what is looked for
        return str(error)
    return ""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="access-denied-") as name:
        storage = Storage()
        parquet, lances = Path(name) / "corrupt", Path(name) / "timeout"
        parquet.mkdir()
        lances.mkdir()
        situations = (
            of_s3(storage)
            | of_azure_and_gcs(storage)
            | of_the_network(storage)
            | of_parquet(parquet)
            | of_lance(lances)
        )
        # Lance tries again for two seconds, whatever it is told.
        with ThreadPoolExecutor(len(situations)) as pool:
            texts = dict(zip(situations, pool.map(text_of, situations.values()), strict=True))
    sys.stdout.write(json.dumps(texts, indent=1))


if __name__ == "__main__":
    main()
