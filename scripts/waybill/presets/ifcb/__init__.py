"""What is known about the data of an Imaging FlowCytobot (IFCB)."""

from waybill.presets.ifcb.settings import PRESET

__all__ = ["PRESET"]
