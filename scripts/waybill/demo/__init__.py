"""The demo: uploads sample data to an S3 server on this machine."""
