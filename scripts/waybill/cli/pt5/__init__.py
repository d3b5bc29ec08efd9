"""The command pt5-uploader."""
