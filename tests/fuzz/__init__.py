"""Coverage-guided fuzzing: docs/fuzzing.md."""
