"""Coverage-guided fuzzing of all that reads the network: `python -m fuzz` (needs the extra `fuzz`)."""
