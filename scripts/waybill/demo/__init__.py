"""The demo: sample data to an S3 server on this machine."""
