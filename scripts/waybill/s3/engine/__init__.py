"""How bytes get to S3 and back: one seam with two implementations."""
