"""Preset ``generic``: nothing set, nothing derived."""

from __future__ import annotations

from waybill.presets.preset import Preset

PRESET = Preset(name="generic", order=0)
