"""HTTP connections that are kept and used again. Nothing here knows S3."""
