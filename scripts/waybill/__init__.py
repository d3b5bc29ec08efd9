"""Waybill: move scientific data between file systems and S3, with proof."""

__version__ = "0.1.0"
