"""What a run tells of its progress, and what is left of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.proxy import Proxy, internal_error
from support.workflow import Workflow

CORES = {"options": ["--cores", "2"]}


def records(folder: Path) -> list[dict[str, Any]]:
    """The job records of a transfer."""
    paths = [folder / "logs/jobs.jsonl", *sorted((folder / "logs/jobs").rglob("*.jsonl"))]
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    return [json.loads(line) for line in lines if line]


def test_each_job_leaves_what_it_did(tmp_path: Path, bucket: str, proxy: Proxy) -> None:
    work = Workflow(tmp_path, proxy)
    work.write("a.txt", bytes(100_000))
    work.write("b/c.txt", bytes(50_000))
    work.configure(t={"destination": f"s3://{bucket}/t", "batch.max_files": 1})
    proxy.fault(internal_error(), op="PutObject", key="t/a.txt", times=1)
    work.run(**CORES)
    found = records(work.folder / "results/t")
    uploads = [job for job in found if job["stage"] == "upload"]
    assert sorted((job["moved"], job["bytes_total"], job["files"]) for job in uploads) == [
        (50_000, 50_000, 1), (100_000, 100_000, 1),
    ]  # fmt: skip
    assert sum(job["repeats"] for job in uploads) == 1
    assert sorted(job["hashed"] for job in found if job["stage"] == "checksum") == [
        50_000, 100_000,
    ]  # fmt: skip
    assert {"inventory", "diff", "manifest"} <= {job["stage"] for job in found}
    for job in found:
        assert job["code"] == 0 and job["begun"] <= job["time"] and job["host"] and job["process"]
        assert sum(job["moves"]) == job["moved"] and sum(job["hashes"]) == job["hashed"]
    assert not list((work.folder / "results/t").glob("progress/*"))
    work.run("verify", config="verify={depth: content}", **CORES)
    (looked,) = [
        job for job in records(work.folder / "results/t") if job["stage"] == "verify_batch"
    ][:1]
    assert looked["moved"] == looked["hashed"] == looked["bytes_total"] > 0
