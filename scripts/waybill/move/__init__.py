"""The work on one batch: its files are hashed, compared, moved and proven."""
