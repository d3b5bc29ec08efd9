"""Presets: what one community always sets, and the rules by which it derives the rest.

Each module or folder here that has a ``PRESET`` is a preset (preset.py tells what one consists of);
other distributions publish theirs as entry points of the group ``waybill.presets``.
"""
