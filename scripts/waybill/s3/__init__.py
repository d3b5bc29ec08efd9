"""S3 itself: clients, listings, checksums, errors. Nothing here knows the results of Waybill."""
