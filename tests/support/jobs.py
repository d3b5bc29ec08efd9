"""Jobs of this process: an engine of its own, a download of objects that were listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.objects import keys
from support.server import S3Server
from support.transfers import transfer_of
from waybill.model.difference import MOVE, NEW, Difference
from waybill.model.transfer import Transfer
from waybill.move.download import Downloader
from waybill.move.mover import Outcome
from waybill.results.journal import Journal, Record
from waybill.s3.engine.choose import make_engine

ENGINES = pytest.mark.parametrize("engine", ["boto3", "native"])
MIB = 1 << 20
LARGE = 65 * MIB  # goes in parts
LOGIN = "aws_access_key_id = AKID\naws_secret_access_key = secret\n"

Use = Callable[[str], None]


@contextmanager
def make(transfer: Transfer) -> Iterator[Any]:
    """An engine that is closed at the end."""
    engine = make_engine(transfer, accelerate=False)
    try:
        yield engine
    finally:
        engine.close()


def there(s3: S3Server, bucket: str) -> set[str]:
    """The paths of the objects below ``data/``."""
    return {key.removeprefix("data/") for key in keys(s3, bucket) if key.startswith("data/")}


def fetch(
    folder: Path, bucket: str, s3: S3Server, *paths: str, etags: str = "", **settings: Any
) -> Outcome:
    """A download job; the objects were listed with their ETags, or all with one."""
    client = s3.client()
    results = folder.parent / "results"
    transfer = transfer_of(folder, bucket, "data/", down=True, results=results, **settings)
    items = []
    for path in paths:
        head = client.head_object(Bucket=bucket, Key=f"data/{path}")
        etag = etags or head["ETag"].strip('"')
        items.append(Difference(NEW, MOVE, path, head["ContentLength"], 0, 0, "", etag, "0", ""))
    folder.mkdir(exist_ok=True)
    with Journal(folder.parent / "journal.jsonl", "run") as journal:
        return Downloader(transfer, journal, Record(), "run", False).run(items)
