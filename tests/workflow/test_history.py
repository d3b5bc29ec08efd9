"""Each run, plan and verification leaves a line in the history of the transfer."""

from __future__ import annotations

import json
from pathlib import Path

from support.proxy import Proxy
from support.workflow import Workflow

CORES = {"options": ["--cores", "2"]}


def test_each_run_leaves_a_line(tmp_path: Path, bucket: str, proxy: Proxy) -> None:
    work = Workflow(tmp_path, proxy)
    work.write("a.txt", b"first")
    work.write("b.txt", b"second one")
    work.configure(t={"destination": f"s3://{bucket}/t"})
    work.run("plan", **CORES)
    work.run(**CORES)
    work.run("verify", **CORES)
    (work.source / "a.txt").unlink()
    work.run("verify", code=1, **CORES)
    lines = (work.folder / "results/t/history.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines if line]
    told = [(r["kind"], r["code"], r["files"], r["bytes"], r["moved_files"]) for r in found]
    assert told == [
        ("plan", 0, 2, 15, 0),
        ("run", 0, 2, 15, 2),
        ("verify", 0, 2, 15, 0),
        ("verify", 1, 2, 15, 0),
    ]
    assert any("- source: a.txt: gone" in line for line in found[-1]["said"]), found[-1]
    assert {r["depth"] for r in found if r["kind"] == "verify"} == {"listing"}
    assert all(r["seconds"] > 0 and r["time"].endswith("+00:00") for r in found)
