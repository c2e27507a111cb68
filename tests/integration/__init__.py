"""Tests with real parts: our command as a process, other people's servers around it."""
