"""Property tests run the same examples everywhere and are not timed."""

from hypothesis import settings

settings.register_profile("waybill", deadline=None, derandomize=True)
settings.load_profile("waybill")
