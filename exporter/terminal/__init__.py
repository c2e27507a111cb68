"""The terminal: jobs in a table for whoever asks, straight from Milvus; and completion for shells."""
