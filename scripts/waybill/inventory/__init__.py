"""The inventory: looks at both sides of a transfer and puts the entries into batches."""
