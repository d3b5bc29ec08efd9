"""Both sides of a transfer, found and put into batches."""
