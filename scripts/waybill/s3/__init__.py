"""S3 itself: buckets, objects, checksums, errors. Nothing here knows Waybill's own files."""
