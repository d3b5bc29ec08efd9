"""Downloads in tests: transfers of a fleet that run from the bucket into a folder, and what such a
run left in the folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.failing import Fleet, Way
from support.faults import Fault, Request
from support.objects import keys
from support.server import S3Server

MIB = 1 << 20
RANGE_BYTES = 16 * MIB


def put(s3: S3Server, way: Way, path: str, data: bytes, **more: Any) -> str:
    """Put an object that a transfer finds at ``path``; its etag."""
    answer = s3.client().put_object(Bucket=way.bucket, Key=way.prefix + path, Body=data, **more)
    return answer["ETag"].strip('"')


def add_download(
    ships: Fleet, s3: S3Server, name: str, objects: Mapping[str, bytes], **settings: Any
) -> Way:
    """One more transfer of the fleet, from objects into its folder."""
    settings.setdefault("source", f"s3://{ships.bucket}/{name}")
    settings.setdefault("destination", str(ships.workflow.folder / "in" / name))
    way = ships.add(name, {}, **settings)
    for path, data in objects.items():
        put(s3, way, path, data)
    return way


def remove_objects(s3: S3Server, bucket: str) -> None:
    """Remove all objects; the server keeps them in memory."""
    client, found = s3.client(), keys(s3, bucket)
    plain = [{"Key": key} for key in found if key.isprintable()]
    for first in range(0, len(plain), 1000):
        client.delete_objects(Bucket=bucket, Delete={"Objects": plain[first : first + 1000]})
    for key in found:
        if not key.isprintable():  # moto cannot read it in a list
            client.delete_object(Bucket=bucket, Key=key)


def files(folder: Path) -> dict[str, bytes]:
    """The files below a folder by path, unfinished downloads apart."""
    return {
        os.fspath(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".waybill-")
    }


def unfinished(folder: Path) -> list[Path]:
    """The unfinished downloads below a folder."""
    return sorted(folder.rglob(".waybill-*"))


def range_number(request: Request) -> int | None:
    """Which range of a large object a request asks for, from 1; None when it asks for no range."""
    text = request.headers.get("range", "")
    return int(text.removeprefix("bytes=").split("-")[0]) // RANGE_BYTES + 1 if text else None


def fetched(way: Way) -> dict[str, list[int | None]]:
    """The ranges that were asked for, by path; None stands for a whole object."""
    found: dict[str, list[int | None]] = {}
    for request in way.proxy.select(op="GetObject"):
        path = request.key.removeprefix(way.prefix)
        if not path.startswith("manifests/"):
            found.setdefault(path, []).append(range_number(request))
    return found


@dataclass
class RangeFault(Fault):
    """A fault of the requests for one range of a large object."""

    number: int = 1

    def take(self, request: Request) -> bool:
        return range_number(request) == self.number and super().take(request)


def range_fault(way: Way, number: int, action: Any, path: str, **match: Any) -> Fault:
    """Add a fault to requests for the range ``number`` of an object."""
    fault = RangeFault(action, op="GetObject", key=way.prefix + path, number=number, **match)
    way.proxy.faults.append(fault)
    return fault
