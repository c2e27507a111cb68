"""Reason texts as Milvus writes them, of three generations (docs/milvus.md, "Failure classes")."""

from __future__ import annotations

from typing import Final

NO_SUCH_BUCKET: Final = "explore external files failed: FFI operation failed: NoSuchBucket: bucket not found"
ACCESS_DENIED: Final = (
    "explore external files failed: FFI operation failed: IOError: When listing objects under key 'exports/customers'"
    " in bucket 'crm-exports': AWS Error ACCESS_DENIED during ListObjectsV2 operation: Access Denied: loon FFI"
    " transient error"
)
UNRESOLVED_HOST: Final = (
    "explore external files failed: FFI operation failed: IOError: AWS Error NETWORK_CONNECTION during ListObjectsV2"
    " operation: curlCode: 6, Could not resolve hostname"
)
PATH_MISSING: Final = (
    "explore external files failed: FFI operation failed: IOError: Path does not exist 'warehouse/inventory'. Detail:"
    " [errno 2] No such file or directory"
)
COLUMN_MISSING: Final = (
    "external field size sampling failed for all 4 segment(s): Invalid: Column 'sku_text' not found in schema."
    " [path=inventory/part-0003.parquet]: check external_field mappings in collection schema against actual parquet"
    " columns"
)
RESULT_LOST: Final = "task result not found"
WORKER_RETRIED_OUT: Final = (
    "worker failure 10/10: query task failed: rpc error: code = Unavailable desc = DataNode lost"
)
TYPE_MISMATCH: Final = (
    "worker failure 1/1: field type mismatch for VARCHAR, expected Arrow string or binary, actual Arrow int64\n"
    "Backtrace:\n   0: loon::exttable::sample\n   1: loon::exttable::refresh"
)
MANIFEST_CONFLICT: Final = "manifest conflict 10/10: segment manifest version moved from 41 to 42"
SNAPSHOT_UNREADABLE: Final = (
    "read milvus-table snapshot metadata for schema validation: unsupported version 9: data format broken"
)
VORTEX_TOO_NEW: Final = (
    "failed to fetch fragments: failed to get file info for part-7.vortex: loon_exttable_get_file_info failed: FFI"
    " operation failed: ERROR: Got exception(code 5) details: Registry missing encoding with id vortex.patched"
)
SOURCE_EMPTY: Final = "no files found in external source: invalid parameter"
ALL_SEGMENTS_GONE: Final = (
    "safety check failed: refusing to drop all 12 segments without replacement (keptSegments=0, updatedSegments=0)"
)
