"""Errors of the libraries that read a source, made on this machine: ``python storage_errors.py`` prints them as JSON.

Runs in the environment of the part ``storage``, which has pyarrow and pylance: Milvus reads Parquet through the same
Arrow C++ and AWS SDK, and Lance through the same Rust crate. Storage that answers with an error is an HTTP server on
loopback (``failing_storage.py``); damaged files are made in ``damaged_files.py``. The output is one object,
situation -> text.

Buckets, folders and columns are named after other failures: a right class then does not come from a name.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from failing_storage import AZURE, BROKEN, GCS, S3, Storage, broken_server

for variable in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("AWS_")]:
    del os.environ[variable]
# Nothing but what a situation gives: no file of this machine's user, and no service of the cloud that it may run in.
os.environ |= {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}

import lance  # noqa: E402 - both read the environment
from damaged_files import Situations, of_lance, of_parquet, of_permissions  # noqa: E402
from pyarrow import fs  # noqa: E402


def s3(address: str, scheme: str = "http", *, key: str | None = "key") -> fs.S3FileSystem:
    return fs.S3FileSystem(
        access_key=key and "key-id",
        secret_key=key,
        endpoint_override=address,
        scheme=scheme,
        region="us-east-1",
        connect_timeout=1,
        request_timeout=1,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
    )


def lance_s3(address: str, bucket: str, scheme: str = "http", *, key: str | None = "key") -> object:
    keys = {"aws_access_key_id": "key-id", "aws_secret_access_key": key} if key else {}
    options = {
        **keys,
        "aws_endpoint": f"{scheme}://{address}",
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
    # Arrow then asks without a signature, and is refused; Lance does not ask.
    private = storage.s3_bucket("AccessDenied")
    found["arrow s3 list without credentials"] = lambda: listing(s3(storage.address, key=None), private)
    found["lance s3 without credentials"] = lambda: lance_s3(storage.address, private, key=None)
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
    for situation, answer in BROKEN.items():
        broken = broken_server(answer)
        found[f"arrow s3 list {situation}"] = lambda broken=broken: listing(s3(broken), "unauthorized")
        if answer is not None:  # Lance tries again for ten seconds
            found[f"lance s3 {situation}"] = lambda broken=broken: lance_s3(broken, "unauthorized")
    return found


@contextmanager
def as_an_ordinary_user() -> Iterator[None]:
    """Root may read everything. The whole process changes its user, so nothing else may run meanwhile."""
    own = os.geteuid()
    if own == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(own)


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
        Path(name).chmod(0o755)
        parquet, lances, forbidden = (Path(name) / kind for kind in ("corrupt", "timeout", "not found"))
        for folder in (parquet, lances, forbidden):
            folder.mkdir()
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
        closed = of_permissions(forbidden)
        with as_an_ordinary_user():
            texts |= {situation: text_of(call) for situation, call in closed.items()}
    sys.stdout.write(json.dumps(texts, indent=1))


if __name__ == "__main__":
    main()
