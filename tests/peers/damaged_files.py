"""For ``storage_errors.py``: files that are missing, damaged or closed to the reader, and columns that do not fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import lance
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

Situations = dict[str, Callable[[], object]]
"""What is tried -> the call that fails."""


def listing(folder: Path) -> object:
    return fs.LocalFileSystem().get_file_info(fs.FileSelector(str(folder)))


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
        "arrow missing folder": lambda: listing(folder / "forbidden"),
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

    def damaged(kind: str) -> Path:
        """Turn the second half of a file over, all but what the file ends with: where its parts are."""
        path = written(f"damaged {kind}")
        for file in (path / kind).iterdir():
            whole = file.read_bytes()
            half, end = len(whole) // 2, len(whole) - 40
            file.write_bytes(whole[:half] + bytes(byte ^ 0xFF for byte in whole[half:end]) + whole[end:])
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
    found["lance data damaged"] = lambda: read(damaged("data"))
    found["lance _versions damaged"] = lambda: read(damaged("_versions"))
    contents = {"zero bytes": b"", "four bytes": b"LANC", "wrong magic": b"x" * 1000, "missing": None}
    for kind in ("data", "_versions"):
        for situation, content in contents.items():
            path = with_file(kind, content)
            found[f"lance {kind} {situation}"] = lambda path=path: read(path)
    return found


def of_permissions(folder: Path) -> Situations:
    """Files and folders that are there and may not be read."""
    table = pa.table({"id": [1, 2]})
    file, closed, dataset = folder / "nosuchkey.parquet", folder / "nosuchbucket", folder / "missing.lance"
    pq.write_table(table, file)
    lance.write_dataset(table, str(dataset))
    closed.mkdir()
    for path in (file, closed, dataset / "_versions"):
        path.chmod(0)
    return {
        "arrow forbidden file": lambda: pq.ParquetFile(file),
        "arrow forbidden folder": lambda: listing(closed),
        "lance forbidden": lambda: lance.dataset(str(dataset)),
    }
