"""What goes in is in :mod:`golden.snapshots`, what must come out lies beside it."""
