"""The report: one page for each transfer, made from its results."""
