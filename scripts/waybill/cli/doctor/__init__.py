"""The command ``waybill doctor``: what will hurt a run on this machine, and what to set."""
