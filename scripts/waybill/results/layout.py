"""The paths of all files under ``results/{transfer}``. The rules of the Snakefile use them too.

docs/architecture.md lists them in one table, with the writers and readers of each file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOCAL_SUFFIX = ".local.tsv"
REMOTE_SUFFIX = ".remote.tsv"
CHECKSUM_SUFFIX = ".sha256"
_PATH_AND_HASH = r"\.[A-Za-z0-9_.-]+\.[0-9a-f]{8,16}"
FORMER_BATCH_NAME = "[abfz][0-9a-f]{16}"  # of earlier versions
# A regex; inventory.batches makes the names.
BATCH_NAME = f"[abfz]{_PATH_AND_HASH}|{FORMER_BATCH_NAME}"
FIRST_BATCH_NAME = f"a{_PATH_AND_HASH}"


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

    def tables(self, dataset: str) -> Path:
        """The folder of the inventory tables of a dataset."""
        folder = self.inventory / dataset
        return folder if folder.exists() else self.set_aside / dataset

    @property
    def set_aside(self) -> Path:
        """Where earlier versions put the tables of datasets that no run looks at for now."""
        return self.root / "resting"

    def checksums(self, dataset: str, batch: str) -> Path:
        return self.root / "checksums" / dataset / f"{batch}.sha256"

    def diff(self, dataset: str, batch: str) -> Path:
        return self.root / "diff" / dataset / f"{batch}.tsv"

    def file_checksum(self, dataset: str, path: str) -> Path:
        """The line of one file in the checksum table of its batch."""
        return self.file_checksums(dataset) / f"{path}{CHECKSUM_SUFFIX}"

    def file_checksums(self, dataset: str) -> Path:
        return self.root / "files" / dataset

    @property
    def plan(self) -> Path:
        return self.root / "plan.tsv"

    def marker(self, dataset: str, batch: str) -> Path:
        return self.root / "markers" / dataset / f"{batch}.tsv"

    def tried(self, dataset: str, batch: str) -> Path:
        """An empty file: every entry of this batch was tried before those of other batches."""
        return self.root / "tried" / dataset / batch

    def manifest(self, dataset: str) -> Path:
        return self.root / "manifests" / f"{dataset}.json"

    def publication(self, dataset: str) -> Path:
        return self.root / "published" / f"{dataset}.json"

    @property
    def summary(self) -> Path:
        return self.root / "summary.tsv"

    @property
    def page(self) -> Path:
        """The page for people (``report``)."""
        return self.root / "report" / "index.html"

    def chart(self, name: str) -> Path:
        """A chart of the page, as a file by itself."""
        return self.root / "report" / f"{name}.svg"

    # Never Snakemake outputs: they outlive failed jobs.
    def journal(self, dataset: str, batch: str) -> Path:
        return self.root / "journal" / dataset / f"{batch}.jsonl"

    def journals(self) -> Iterator[Path]:
        return (self.root / "journal").glob("*/*.jsonl")

    def kept_marker(self, dataset: str, batch: str) -> Path:
        """A copy of the last marker: Snakemake removes the marker before it runs a job again."""
        return self.root / "journal" / dataset / f"{batch}.tsv"

    def kept_manifest(self, dataset: str) -> Path:
        """A copy of the manifest that was published last."""
        return self.root / "journal" / f"{dataset}.manifest.json"

    def kept_publication(self, dataset: str) -> Path:
        """A copy of the record of the last publication."""
        return self.root / "journal" / f"{dataset}.published.json"

    def cache(self, dataset: str, batch: str) -> Path:
        return self.root / "cache" / dataset / f"{batch}.tsv"

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def begun(self) -> Path:
        """An empty file: a run has begun and has not taken its inventory yet."""
        return self.root / "begun"

    @property
    def history(self) -> Path:
        """How each run, plan and verification has ended (``results.history``)."""
        return self.root / "history.jsonl"

    @property
    def open_findings(self) -> Path:
        """What verifications found and nothing has mended since (``verify.open_findings``)."""
        return self.root / "verify" / "open.tsv"

    @property
    def failures(self) -> Path:
        return self.root / "failures"

    @property
    def progress(self) -> Path:
        """The folder in which each job at work says how far it is (``results.jobs``)."""
        return self.root / "progress"

    @property
    def run_progress(self) -> Path:
        """What the jobs of the last run have done that have ended (``results.run_progress``)."""
        return self.root / "progress.json"

    def job_log(self, dataset: str = "", batch: str = "") -> Path:
        """A line for each job about a batch, a dataset or the transfer that has ended."""
        if not dataset:
            return self.root / "logs" / "jobs.jsonl"
        folder = self.root / "logs" / "jobs"
        return folder / dataset / f"{batch}.jsonl" if batch else folder / f"{dataset}.jsonl"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def lock(self) -> Path:
        return self.root / ".lock"

    def seals(self, dataset: str, batch: str) -> Path:
        """The SHA-256 of the tables of a batch (``results.seals``)."""
        return self.root / "seals" / dataset / f"{batch}.sha256"

    @property
    def seals_of_all(self) -> Path:
        """The SHA-256 of the files that exist once for the transfer, or once for each dataset."""
        return self.root / "seals" / "results.sha256"

    def name_of(self, path: Path) -> str:
        """The name of a file below ``results/{transfer}``."""
        return path.relative_to(self.root).as_posix()

    def seals_of(self, path: Path) -> Path:
        """The file that holds the SHA-256 of a file."""
        parts = path.relative_to(self.root).parts
        if len(parts) != 3:  # kind, dataset, batch
            return self.seals_of_all
        return self.seals(parts[1], _batch_in(parts[2]))

    def tables_of(self, dataset: str, batch: str) -> list[Path]:
        """The paths of all sealed files of a batch; the marker is the first. A file need not
        exist."""
        kinds = (
            self.marker, self.kept_marker, self.local, self.remote,
            self.checksums, self.diff, self.cache,
        )  # fmt: skip
        return [kind(dataset, batch) for kind in kinds]

    def batches_of(self, dataset: str) -> list[str]:
        """The batches of one dataset, sorted."""
        names = (p.name for p in (self.inventory / dataset).iterdir())
        return sorted(n.removesuffix(LOCAL_SUFFIX) for n in names if n.endswith(LOCAL_SUFFIX))

    def traces_of(self, dataset: str) -> set[str]:
        """The batches of one dataset that have a table or a proof. Caches do not count, because a
        cache may outlive its batch."""
        folders = {path.parent for path in self.tables_of(dataset, "-")}
        found: set[str] = set()
        for folder in folders - {self.cache(dataset, "-").parent}:
            with suppress(FileNotFoundError):
                names = (path.name for path in folder.iterdir())
                names = (n for n in names if not n.startswith(".") and not n.endswith(".jsonl"))
                found.update(_batch_in(name) for name in names)
        return found


def _batch_in(name: str) -> str:
    """The batch in the name of one of its files."""
    for suffix in (LOCAL_SUFFIX, REMOTE_SUFFIX, ".tsv", ".sha256", ".jsonl"):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name


FOUND = "found"  # the aside table of folders that are not a dataset of this transfer (yet)
