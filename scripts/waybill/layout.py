"""Where the files of one transfer live: the path grammar of the Snakefile, in one place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LOCAL_SUFFIX = ".local.tsv"
REMOTE_SUFFIX = ".remote.tsv"


@dataclass(frozen=True, slots=True)
class Layout:
    """The files under ``results/{transfer}``; each method names one of them."""

    root: Path

    @property
    def inventory(self) -> Path:
        return self.root / "inventory"

    def local(self, dataset: str, batch: str) -> Path:
        return self.inventory / dataset / f"{batch}{LOCAL_SUFFIX}"

    def remote(self, dataset: str, batch: str) -> Path:
        return self.inventory / dataset / f"{batch}{REMOTE_SUFFIX}"

    def aside(self, dataset: str) -> Path:
        """Entries in no batch: only at the destination, held back, refused."""
        return self.inventory / f"{dataset}.aside.tsv"

    def resting(self, dataset: str) -> Path:
        """Where the inventory tables of a proven dataset stand while nobody looks at it, so that
        a run does not have to think of its batches."""
        return self.root / "resting" / dataset

    def checksums(self, dataset: str, batch: str) -> Path:
        return self.root / "checksums" / dataset / f"{batch}.sha256"

    def diff(self, dataset: str, batch: str) -> Path:
        return self.root / "diff" / dataset / f"{batch}.tsv"

    @property
    def plan(self) -> Path:
        return self.root / "plan.tsv"

    def marker(self, dataset: str, batch: str) -> Path:
        return self.root / "markers" / dataset / f"{batch}.tsv"

    def tried(self, dataset: str, batch: str) -> Path:
        """That each entry of a batch that moves first was tried once since the batch is open."""
        return self.root / "tried" / dataset / batch

    def manifest(self, dataset: str) -> Path:
        return self.root / "manifests" / f"{dataset}.json"

    def publication(self, dataset: str) -> Path:
        return self.root / "published" / f"{dataset}.json"

    @property
    def summary(self) -> Path:
        return self.root / "summary.tsv"

    # Never Snakemake outputs: they outlive failed jobs.
    def journal(self, dataset: str, batch: str) -> Path:
        return self.root / "journal" / dataset / f"{batch}.jsonl"

    def journals(self) -> Iterator[Path]:
        return (self.root / "journal").glob("*/*.jsonl")

    def kept_marker(self, dataset: str, batch: str) -> Path:
        """The last marker once more: Snakemake removes the other before it runs a job again."""
        return self.root / "journal" / dataset / f"{batch}.tsv"

    def cache(self, dataset: str, batch: str) -> Path:
        return self.root / "cache" / dataset / f"{batch}.tsv"

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def failures(self) -> Path:
        return self.root / "failures"

    @property
    def lock(self) -> Path:
        return self.root / ".lock"

    def batches(self) -> Iterator[tuple[str, str]]:
        """Every (dataset, batch) the last inventory left, sorted; reads folders only."""
        for folder in sorted(self.inventory.iterdir()) if self.inventory.is_dir() else ():
            if folder.is_dir():
                for name in self.batches_of(folder.name):
                    yield folder.name, name

    def batches_of(self, dataset: str) -> list[str]:
        """The batches of one dataset, sorted."""
        names = (p.name for p in (self.inventory / dataset).iterdir())
        return sorted(n.removesuffix(LOCAL_SUFFIX) for n in names if n.endswith(LOCAL_SUFFIX))
