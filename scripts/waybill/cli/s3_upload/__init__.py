"""The command s3-upload."""
