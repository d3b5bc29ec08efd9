"""The command `waybill probe`: what a store does of all that Waybill uses, and what to set."""
