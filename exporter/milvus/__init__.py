"""Milvus's side of the wire: the client, and the translation of everything foreign into our own words."""

import os

# gRPC's core writes lines of its own past every logging, one for each failed handshake. What they say is in our errors.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
