"""The command ``sync-from-s3``, for the Greenland glacier flow project."""
