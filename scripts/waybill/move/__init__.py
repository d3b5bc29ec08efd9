"""A batch from here to there, proven: compared, hashed, moved."""
