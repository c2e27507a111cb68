"""Generated protobuf code; ``make proto`` rebuilds it from ``proto/milvus_refresh.proto``."""
