"""Prometheus exporter for the refresh jobs of Milvus external collections."""

__version__ = "0.1.0"
