"""HTTP connections of our own. Nothing here knows S3."""
