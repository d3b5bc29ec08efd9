"""Whether both sides still hold what was proven."""
