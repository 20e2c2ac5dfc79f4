"""The profile paper from its first command to its last, in small: `make rehearsal`."""
