"""Reason texts as Milvus writes them (docs/milvus.md, "Failure reasons" and "Failure classes").

One world shows what several generations of Milvus do. A collection keeps to one of them: these constants say which.
"""

from __future__ import annotations

from typing import Final

# 3.0.0 and 3.0.1: the job fails at once, with what the storage library or the worker said.
_EXPLORE: Final = "explore external files failed: FFI operation failed: "
_TRANSIENT: Final = ": loon FFI transient error"  # around permanent errors too
ACCESS_DENIED: Final = (
    f"{_EXPLORE}IOError: When listing objects under key 'exports/customers/' in bucket 'crm-exports': AWS Error"
    f" ACCESS_DENIED during ListObjectsV2 operation: Access Denied{_TRANSIENT}"
)
UNRESOLVED_HOST: Final = (
    f"{_EXPLORE}IOError: When listing objects under key 'inventory/' in bucket 'warehouse': AWS Error"
    f" NETWORK_CONNECTION during ListObjectsV2 operation: curlCode: 6, Could not resolve hostname{_TRANSIENT}"
)
PATH_MISSING: Final = (
    f"{_EXPLORE}IOError: Path does not exist 'warehouse/inventory/'. Detail: [errno 2] No such file or"
    f" directory{_TRANSIENT}"
)
SOURCE_EMPTY: Final = "no files found in external source: oss://warehouse/inventory/"
COLUMN_MISSING: Final = (
    "external field size sampling failed for all 4 segment(s): Invalid: Column 'sku_text' not found in schema."
    " [path=inventory/part-0003.parquet]; check external_field mappings in collection schema against actual parquet"
    " columns: invalid parameter"
)
TYPE_MISMATCH: Final = (
    "field type mismatch for VARCHAR, expected Arrow string or binary, actual Arrow int64\n"
    "Backtrace:\n   0: loon::exttable::sample\n   1: loon::exttable::refresh"
)
ALL_SEGMENTS_GONE: Final = (
    "safety check failed: refusing to drop all 12 segments without replacement (keptSegments=0, updatedSegments=0):"
    " service internal error"
)
RESULT_LOST: Final = "task result not found"

# Proposed: what may pass by itself is tried again, and the first cause is noted on the job meanwhile.
_EXPLORE_AGAIN: Final = "failed to explore external files: FFI operation failed: "
HOST_NOT_RESOLVED_YET: Final = (
    f"{_EXPLORE_AGAIN}IOError: When listing objects under key 'corpus/' in bucket 'docs-prod': AWS Error"
    f" NETWORK_CONNECTION during ListObjectsV2 operation: curlCode: 6, Could not resolve hostname{_TRANSIENT}"
)
NO_SUCH_BUCKET: Final = (
    f"{_EXPLORE_AGAIN}IOError: When listing objects under key 'features/' in bucket 'ml-store': AWS Error"
    f" NO_SUCH_BUCKET during ListObjectsV2 operation: The specified bucket does not exist{_TRANSIENT}"
)
WORKER_RETRIED_OUT: Final = (
    "worker failure 10/10: query task failed: rpc error: code = Unavailable desc = DataNode lost"
)
MANIFEST_CONFLICT: Final = "manifest conflict 10/10: segment manifest version moved from 41 to 42"
VORTEX_TOO_NEW: Final = (
    "worker failure 10/10: failed to fetch fragments: failed to get file info for part-7.vortex:"
    " loon_exttable_get_file_info failed: FFI operation failed: ERROR: Got exception(code 5) details: Registry missing"
    f" encoding with id vortex.patched{_TRANSIENT}"
)
SNAPSHOT_UNREADABLE: Final = (
    "explore external files failed: read milvus-table snapshot metadata for schema validation: unsupported version 9:"
    " data integrity check failed"
)
