"""What brings about each message of the catalogue (``waybill.messages``), by name of its entry."""

from support.provocations import of_files, of_runs, of_s3, of_settings
from support.provocations.world import PROVOKED, Capsys, World

__all__ = ["PROVOKED", "Capsys", "World", "of_files", "of_runs", "of_s3", "of_settings"]
