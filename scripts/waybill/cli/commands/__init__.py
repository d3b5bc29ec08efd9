"""The commands of `waybill`: a module each, with its options and what it does."""
