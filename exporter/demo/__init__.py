"""A simulated Milvus: a small gRPC server that behaves like DataCoord as docs/milvus.md describes it."""

from exporter.demo.access import only_root
from exporter.demo.faults import FROM_TIME_TO_TIME
from exporter.demo.scenario import believable_world
from exporter.demo.server import SimulatedMilvus
from exporter.demo.world import World

__all__ = ["FROM_TIME_TO_TIME", "SimulatedMilvus", "World", "believable_world", "only_root"]
