"""The judge: reads both sides with its own eyes, boto3 and hashlib alone, and says what is wrong.

Nothing here is Waybill's; the layout it knows is what README.md promises.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import IncompleteReadError, ResponseStreamingError

READ_ATTEMPTS = 3


@dataclass(frozen=True)
class Content:
    size: int
    sha256: str


@dataclass(frozen=True)
class Finding:
    """Something that must not be: ``kind`` groups what has one cause."""

    kind: str
    text: str


@dataclass
class Sides:
    """What is there: files by path, objects by key."""

    source: dict[str, Content]
    destination: dict[str, Content]
    objects: dict[str, Content]
    etags: dict[str, str]
    manifests: dict[str, bytes]  # published, by key


@dataclass
class Eyes:
    """Reads the sides of one world. An object is not read twice while its ETag stays."""

    client: Any
    bucket: str
    prefix: str
    published: str  # the prefix of published manifests
    _known: dict[tuple[str, int], str] = field(default_factory=dict)
    _bodies: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def look(self, source: Path, destination: Path) -> Sides:
        objects, etags, manifests = {}, {}, {}
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        for entry in (e for page in pages for e in page.get("Contents", ())):
            key, etag, size = entry["Key"], entry["ETag"], entry["Size"]
            sha256 = self._known.get((etag, size))
            wanted = key.startswith(self.published)
            if sha256 is None or (wanted and (key, etag) not in self._bodies):
                if (read := self._read(key)) is None:
                    continue
                answer, body = read
                sha256 = hashlib.sha256(body).hexdigest()
                self._known[answer["ETag"], len(body)] = sha256
                if wanted:
                    self._bodies[key, etag] = body
            objects[key] = Content(size, sha256)
            etags[key] = etag
            if wanted:
                manifests[key] = self._bodies[key, etag]
        return Sides(
            dict(read_tree(source)), dict(read_tree(destination)), objects, etags, manifests
        )

    def _read(self, key: str) -> tuple[dict[str, Any], bytes] | None:
        """One object; None when the server cannot give it. LocalStack keeps an object whose body
        never came, as after a kill in the middle of a PUT, and cuts each answer. For its readers
        such an object is not there, so after exit 0 it is missing."""
        for _ in range(READ_ATTEMPTS):  # or it was written anew meanwhile
            answer = self.client.get_object(Bucket=self.bucket, Key=key)
            with contextlib.suppress(ResponseStreamingError, IncompleteReadError):
                return answer, answer["Body"].read()
        return None

    def uploads(self) -> list[str]:
        """The keys of multipart uploads that are open."""
        answer = self.client.list_multipart_uploads(Bucket=self.bucket)
        return sorted(upload["Key"] for upload in answer.get("Uploads", ()))


def read_tree(folder: Path) -> Iterator[tuple[str, Content]]:
    """Every file below a folder by its path, names that are not UTF-8 with surrogates."""
    for base, _, names in os.walk(folder):
        for name in names:
            path = Path(base, name)
            data = path.read_bytes()
            relative = path.relative_to(folder).as_posix()
            yield relative, Content(len(data), hashlib.sha256(data).hexdigest())


def is_partial(path: str) -> bool:
    """Whether this is an unfinished download, as docs/downloads.md tells."""
    name = path.rpartition("/")[2]
    return name.startswith(".waybill-") and name.endswith(".part")


def missing(sides: Sides, eyes: Eyes, transfer: str, exempt: Set[str]) -> Iterator[Finding]:
    """What a run that ended with 0 left undone; ``exempt`` are paths that changed meanwhile."""
    for path, wanted in sorted(wanted_by(sides, eyes, transfer).items()):
        if path in exempt:
            continue
        got = (
            sides.objects.get(eyes.prefix + path)
            if transfer == "up"
            else sides.destination.get(path)
        )
        if got is None:
            yield Finding("missing", f"{path!r} is not at the destination")
        elif got != wanted:
            yield Finding("wrong bytes", f"{path!r} is {got} at the destination, {wanted} here")


def wanted_by(sides: Sides, eyes: Eyes, transfer: str) -> dict[str, Content]:
    """What a transfer has to move, by path."""
    if transfer == "up":
        return sides.source
    return {
        key.removeprefix(eyes.prefix): content
        for key, content in sides.objects.items()
        if key.startswith(eyes.prefix)
        and not key.startswith(eyes.published)
        and not (key.endswith("/") and not content.size)
    }


def invented(sides: Sides, eyes: Eyes, history: dict[str, set[str]]) -> Iterator[Finding]:
    """Bytes that nobody ever had under that name, and names that nobody gave."""
    for key, content in sides.objects.items():
        if not key.startswith(eyes.prefix) or key.startswith(eyes.published):
            continue
        if content.sha256 not in history.get(key.removeprefix(eyes.prefix), ()):
            yield Finding("invented object", f"{key!r} holds bytes that no file had: {content}")
    for path, content in sides.destination.items():
        if not is_partial(path) and content.sha256 not in history.get(path, ()):
            yield Finding("invented file", f"{path!r} holds bytes that no object had: {content}")


def outside(
    sides: Sides, eyes: Eyes, source: dict[str, Content], strangers: Set[str], folder: Path,
    known: Set[str],
) -> Iterator[Finding]:  # fmt: skip
    """What was touched that is none of a run's business."""
    for key in sides.objects:
        if not key.startswith(eyes.prefix) and key not in strangers:
            yield Finding("outside", f"the key {key!r} is outside the destination")
    for path in folder.iterdir():
        if path.name not in known:
            yield Finding("outside", f"{path.name!r} was made beside the destination")
    for name in sorted(source.keys() | sides.source.keys()):
        if source.get(name) != sides.source.get(name):
            was, now = source.get(name), sides.source.get(name)
            yield Finding("source touched", f"the file {name!r} was {was}, is {now}")


def published(
    sides: Sides, eyes: Eyes, before: dict[str, bytes], exempt: Set[str], *, proven: bool
) -> Iterator[Finding]:
    """Whether manifests stay as published, and the newest tells the truth after exit 0."""
    for key, body in before.items():
        if sides.manifests.get(key) != body:
            yield Finding("manifest overwritten", f"{key!r} has other content than when published")
    if not proven:
        return
    if not sides.manifests:
        if sides.source:
            yield Finding("manifest missing", "nothing is published")
        return
    newest = max(sides.manifests)
    try:
        entries = json.loads(sides.manifests[newest])["files"]
        told = {e["key"]: Content(e["size_bytes"], e["sha256"]) for e in entries}
    except (ValueError, KeyError, TypeError) as error:
        yield Finding("manifest false", f"{newest!r} cannot be read: {error!r}")
        return
    for key, content in sorted(told.items()):
        path = key.removeprefix(eyes.prefix)
        if path not in exempt and path in sides.source and sides.objects.get(key) != content:
            there = sides.objects.get(key)
            yield Finding("manifest false", f"{newest!r} says {content} of {key!r}, it is {there}")
    for path in sorted(sides.source.keys() - exempt):
        if eyes.prefix + path not in told:
            yield Finding("manifest false", f"{newest!r} leaves out {path!r}")


def held(results: Path) -> Iterator[Finding]:
    """Locks that are held though no run is at work."""
    for path in results.glob("*/.lock"):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield Finding("lock", f"{path} is still locked")


def leftovers(sides: Sides, results: Path, gone: Set[str]) -> Iterator[Finding]:
    """What should not be there after a run that nobody disturbed."""
    for path in sides.destination:
        if is_partial(path) and not gone:
            yield Finding("leftover part", f"{path!r} at the destination")
    for base, _, names in os.walk(results):
        for name in names:
            if name.endswith(".tmp"):
                yield Finding("leftover tmp", f"{base}/{name}")
