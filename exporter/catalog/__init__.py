"""Which collections exist and which of them a job belongs to (docs/milvus.md, "Which database")."""

from exporter.catalog.attribution import Attribution
from exporter.catalog.candidates import heir
from exporter.catalog.inventory import Entry, Inventory
from exporter.catalog.reader import InventoryAccount, InventoryReader, InventorySource

__all__ = ["Attribution", "Entry", "Inventory", "InventoryAccount", "InventoryReader", "InventorySource", "heir"]
