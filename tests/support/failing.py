"""Runs that fail: several transfers in one run, each with a way to the server of its own that can
misbehave, and what such a run must have said and left behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.proxy import Fault, Proxy, Request
from support.workflow import Finished, Results, Workflow


@dataclass
class Way:
    """One transfer of a fleet: its folder, its proxy, and where its objects go."""

    folder: Path
    proxy: Proxy
    bucket: str
    prefix: str
    results: Results

    def write(self, path: str, data: bytes) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return target

    def fault(self, action: Any, **match: Any) -> Fault:
        """Add a fault; ``key`` is a glob relative to the transfer's prefix."""
        if "key" in match:
            match["key"] = self.prefix + match["key"]
        return self.proxy.fault(action, **match)

    def puts(self, requests: list[Request] | None = None) -> list[str]:
        """The paths of data that PutObject and CreateMultipartUpload asked to write, sorted."""
        found = self.proxy.requests if requests is None else requests
        keys = [r.key for r in found if r.op in ("PutObject", "CreateMultipartUpload")]
        paths = [key.removeprefix(self.prefix) for key in keys]
        return sorted(path for path in paths if not path.startswith("manifests/"))

    @property
    def published(self) -> list[str]:
        """The keys of manifests that S3 took."""
        return [
            r.key
            for r in self.proxy.requests
            if r.op == "PutObject" and "/manifests/" in r.key and r.upstream_status == 200
        ]

    def marked(self) -> set[str]:
        """The paths that stand in a marker."""
        return set(self.results.all("markers"))

    def check_nothing_claimed(self) -> None:
        """No marker, no manifest, nothing published: neither here nor in the bucket."""
        assert not self.marked()
        assert not list(self.results.root.glob("manifests/*"))
        assert not list(self.results.root.glob("published/*"))
        assert not self.published

    def mend(self) -> None:
        """The server behaves from now on; what it was asked so far is forgotten."""
        self.proxy.faults.clear()
        self.proxy.clear()


@dataclass
class Fleet:
    """Transfers that run together, each a section of one configuration."""

    workflow: Workflow
    server_url: str
    bucket: str
    ways: dict[str, Way] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Way:
        return self.ways[name]

    def add(self, name: str, files: Mapping[str, bytes], **settings: Any) -> Way:
        """One more transfer. Keys of ``settings`` are those of the configuration, dots ``__``."""
        way = Way(
            self.workflow.folder / "in" / name,
            Proxy(self.server_url),
            self.bucket,
            f"{name}/",
            self.workflow.results(name),
        )
        way.folder.mkdir(parents=True)
        for path, data in files.items():
            way.write(path, data)
        self.ways[name] = way
        self.settings[name] = {
            "source": str(way.folder),
            "destination": f"s3://{self.bucket}/{name}",
            "endpoint_url": way.proxy.endpoint_url,
            **{key.replace("__", "."): value for key, value in settings.items()},
        }
        return way

    def run(self, *targets: str, code: int = 0, **arguments: Any) -> Finished:
        """One run over all transfers. Waiting jobs cost no core, so there is room for many."""
        self.workflow.configure(**self.settings)
        arguments.setdefault("options", ["--cores", "16"])
        return self.workflow.run(*targets, code=code, **arguments)

    def mend(self) -> None:
        for way in self.ways.values():
            way.mend()


@contextmanager
def fleet(server_url: str, workflow: Workflow, bucket: str) -> Iterator[Fleet]:
    """A fleet; at its end every fault must have been able to act."""
    ships = Fleet(workflow, server_url, bucket)
    try:
        yield ships
    finally:
        for way in ships.ways.values():
            way.proxy.close()
    for name, way in ships.ways.items():
        assert way.proxy.errors == [], name


def failures(run: Finished, transfer: str) -> list[str]:
    """What a run said at its end about each failure of a transfer."""
    start = f"waybill: {transfer}: FAILED "
    return [line.removeprefix(start) for line in run.lines if line.startswith(start)]


def the_failure(run: Finished, transfer: str, *parts: str) -> None:
    """A transfer failed in exactly one line, and it holds all ``parts``."""
    the_failures(run, transfer, [parts])


def the_failures(run: Finished, transfer: str, expected: list[tuple[str, ...]]) -> None:
    """A transfer failed in exactly these lines, each with all its parts."""
    found = sorted(failures(run, transfer))
    assert len(found) == len(expected), found
    for line, parts in zip(found, expected, strict=True):
        assert all(part in line for part in parts), (line, parts)
