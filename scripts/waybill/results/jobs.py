"""What each job tells of itself: how far it is while it works, and what it did when it has ended.

A job at work keeps ``progress/{stage}.{dataset}@{batch}.json``, written anew at most once a second.
A job that has ended appends one line to ``logs/jobs/{dataset}/{batch}.jsonl``, to
``logs/jobs/{dataset}.jsonl`` if it is about no batch, or to ``logs/jobs.jsonl`` if it is about no
dataset. Every attempt has a line. The members of both:

``stage dataset batch``         the job; ``""`` where there is no dataset or batch
``host process cluster_job``    node, process id, and the number of the job on SLURM (or ``""``)
``begun time``                  its beginning and this line, in seconds since the epoch
``code``                        its exit code; ``null`` while it works
``files files_total``           files that have arrived, and that it moves or looks at
``moved there bytes_total``     bytes sent or fetched, bytes that an earlier job moved, their aim
``hashed hash_total``           bytes that were read for their SHA-256, and their aim
``repeats``                     requests that were sent once more
``rate hash_rate``              bytes in a second over the last ``WINDOW_SECONDS``
``large``                       (while it works) ``[path, bytes done, size]`` of large files on
                                their way
``every moves hashes``          (when it has ended) bytes moved and hashed in each interval of
                                ``every`` seconds from ``begun`` on; at most ``MOST_SAMPLES``
                                intervals
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from waybill.results.layout import Layout
from waybill.system import json_lines
from waybill.system.files import write_atomic

WINDOW_SECONDS = 30.0
MOST_SAMPLES = 64

_LIVE, _ENDED = {"large"}, {"every", "moves", "hashes"}


@dataclass(slots=True)
class Job:
    """One job, as the table above has it."""

    stage: str
    dataset: str = ""
    batch: str = ""
    host: str = ""
    process: int = 0
    cluster_job: str = ""
    begun: float = 0.0
    time: float = 0.0
    code: int | None = None
    files: int = 0
    files_total: int = 0
    moved: int = 0
    there: int = 0
    bytes_total: int = 0
    hashed: int = 0
    hash_total: int = 0
    repeats: int = 0
    rate: float = 0.0
    hash_rate: float = 0.0
    large: list[tuple[str, int, int]] = field(default_factory=list)
    every: float = 1.0
    moves: list[int] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of its file in ``progress/``."""
        about = f"{self.dataset}@{self.batch}" if self.batch else self.dataset
        return ".".join(part for part in (self.stage, about, "json") if part)


class Samples:
    """What happened in each interval of a job. When there are too many intervals, two become
    one."""

    def __init__(self) -> None:
        self.every = 1.0
        self.moves: list[int] = []
        self.hashes: list[int] = []

    def add(self, seconds: float, moved: int, hashed: int) -> None:
        """So many bytes were moved and hashed in the interval with this moment, in seconds since
        the job began."""
        while seconds >= MOST_SAMPLES * self.every:
            self.every *= 2
            self.moves, self.hashes = _in_pairs(self.moves), _in_pairs(self.hashes)
        at = int(seconds / self.every)
        for sums, count in ((self.moves, moved), (self.hashes, hashed)):
            sums += [0] * (at + 1 - len(sums))
            sums[at] += count


def _in_pairs(counts: list[int]) -> list[int]:
    return [sum(counts[at : at + 2]) for at in range(0, len(counts), 2)]


def write_progress(layout: Layout, job: Job) -> None:
    """Write how far a job is."""
    kept = {name: value for name, value in asdict(job).items() if name not in _ENDED}
    data = json.dumps(kept, separators=(",", ":"))  # in ASCII: a path may hold any bytes
    write_atomic(layout.progress / job.name, data.encode())


def drop_progress(layout: Layout, name: str) -> None:
    """Remove what the job with this ``Job.name`` has written about itself."""
    (layout.progress / name).unlink(missing_ok=True)


def append(layout: Layout, job: Job) -> None:
    """Add the line of a job that has ended (``system.json_lines``)."""
    kept = {name: value for name, value in asdict(job).items() if name not in _LIVE}
    json_lines.append(layout.job_log(job.dataset, job.batch), kept)


def in_progress(layout: Layout) -> Iterator[Job]:
    """The jobs that say how far they are. A file that cannot be read is left out, because nothing
    depends on it."""
    for path in sorted(layout.progress.glob("[!.]*.json")):
        try:
            job = _job(json.loads(path.read_bytes()))
        except (FileNotFoundError, ValueError):
            continue
        if job is not None:
            yield job


def ended(layout: Layout) -> Iterator[Job]:
    """The jobs that have ended, of all runs: those of a batch in their order, batch after batch. A
    damaged line is left out."""
    logs = layout.job_log()
    for path in (logs, *sorted(logs.with_suffix("").rglob("*.jsonl"))):
        yield from (job for item in json_lines.read(path) if (job := _job(item)))


def _job(item: Any) -> Job | None:
    """The job in a JSON object; None for what is no job. Members of a later version are left
    out."""
    try:
        job = Job(**{f.name: item[f.name] for f in _FIELDS if f.name in item})
    except TypeError:
        return None
    return job if all(isinstance(getattr(job, f.name), _KINDS[f.type]) for f in _FIELDS) else None


_FIELDS = fields(Job)
_KINDS: dict[Any, Any] = {
    "str": str, "int": int, "float": (int, float), "int | None": (int, type(None)),
    "list[int]": list, "list[tuple[str, int, int]]": list,
}  # fmt: skip
