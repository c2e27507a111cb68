"""Everything that knows Milvus's wire: the client, the translation of its records and its errors."""
