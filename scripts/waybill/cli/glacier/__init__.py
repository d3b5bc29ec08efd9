"""The command sync-from-s3."""
