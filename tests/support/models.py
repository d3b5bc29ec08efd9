"""What botocore knows of S3, a megabyte of JSON, is read once for all sessions of a process."""

from __future__ import annotations

import functools

from botocore.loaders import JSONFileLoader


def keep() -> None:
    """Have all sessions of this process use what the first one has read. A new session takes as
    long to read it as for ten requests."""
    read = functools.cache(JSONFileLoader().load_file)
    JSONFileLoader.load_file = lambda _, path: read(path)
