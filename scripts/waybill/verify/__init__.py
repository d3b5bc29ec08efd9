"""The verification: whether both sides still hold what was proven."""
