"""One poll: from asking Milvus to a published snapshot."""

from exporter.poll.corridor import Corridor

__all__ = ["Corridor"]
