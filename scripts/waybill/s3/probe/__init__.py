"""The probe: asks a store, by writing a few objects, what it does of all that Waybill uses."""
