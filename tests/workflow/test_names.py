"""Names: whatever a file is called, its hash is the same in every place that tells it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from support.downloads import remove_objects
from support.objects import keys, stored
from support.proxy import Answer, Proxy
from support.server import S3Server
from support.workflow import Finished, Results, Workflow, is_manifest

PREFIX = "a b/ü+%41"  # the destination has such a name too

NAMES = [
    "plain.txt",
    "two  spaces.txt",
    " leading space",
    "trailing space ",
    "single'quote",
    'double"quote',
    "new\nline",
    "\nfirst is a newline",
    "last is a newline\n",
    "tab\tbed",
    "back\\slash",
    "back\\nslash-n",
    "\\x41",
    "carriage\rreturn",
    "dos\r\nline",
    "100%",
    "%41",
    "%2F",
    "a+b",
    "#hash",
    "key=value",
    "this&that",
    "what?",
    "st*r",
    "[x]",
    "{y}",
    "{dataset}",
    "$HOME",
    "`id`",
    "~",
    "~root",
    "semi;colon",
    "pipe|less>than<",
    "-",
    "--help",
    "-rf",
    ".dotfile",
    ".hidden/.deeper",
    "...",
    "trailing.",
    ":colon@at,comma",
    "'",
    '"',
    unicodedata.normalize("NFC", "café.txt"),
    unicodedata.normalize("NFD", "café.txt"),
    "emoji 🧬🔬",
    "単一細胞/データ.h5ad",
    "línea\u2028separator",
    "vertical\x0btab",
    "next\x85line",
    "bell\x07",
    "non\u00a0breaking",
    "right\u202eto left",
    "n" * 200,
    "名" * 85,
    "/".join(f"level {i}" for i in range(24)) + "/deep",
    "folder with 'quotes' & #/inner + %20/file",
    "fol\nder/\ttab/\x1b[31mred",
]  # fmt: skip
REFUSED = b"not utf-8 \xff\xe9"
CONTENT = {name: f"the content of {name!r}\n".encode() * 3 for name in NAMES}
SHA256 = {name: hashlib.sha256(data).hexdigest() for name, data in CONTENT.items()}


class Names(Workflow):
    """The names after a first run. Tests come in any order, so what it left is a copy."""

    bucket: str
    first: Finished
    left: Results


@pytest.fixture(scope="module")
def names(s3: S3Server, tmp_path_factory: pytest.TempPathFactory):
    with Proxy(s3.endpoint_url) as proxy:
        names = Names(tmp_path_factory.mktemp("names"), proxy)
        names.bucket = s3.make_bucket("waybill-names")
        remove_objects(s3, names.bucket)  # the same process may make it again
        for name, data in CONTENT.items():
            names.write(name, data)
        names.write(REFUSED, b"whatever")
        destination = f"s3://{names.bucket}/{PREFIX}"
        names.configure(t={"destination": destination, "batch.max_files": 25})
        names.first = names.run(code=1)
        left = shutil.copytree(names.results("t").root, names.folder / "left")
        names.left = Results(left)
        yield names
        assert proxy.errors == []


def test_every_object_holds_its_file(names: Names, s3: S3Server) -> None:
    assert names.first.data_puts == sorted(f"{PREFIX}/{name}" for name in NAMES)
    data = [k.removeprefix(f"{PREFIX}/") for k in keys(s3, names.bucket) if not is_manifest(k)]
    assert sorted(data) == sorted(NAMES)
    client = s3.client()
    for name in NAMES:
        key = f"{PREFIX}/{name}"
        assert hashlib.sha256(stored(s3, names.bucket, key)).hexdigest() == SHA256[name]
        head = client.head_object(Bucket=names.bucket, Key=key)
        assert head["Metadata"]["source-sha256"] == SHA256[name]


def test_tables_and_manifest_tell_the_same(names: Names, s3: S3Server) -> None:
    results = names.left
    assert results.checksums() == SHA256
    markers = results.all("markers")
    assert {name: row["sha256"] for name, row in markers.items()} == SHA256
    assert {name: row["key"] for name, row in markers.items()} == {
        n: f"{PREFIX}/{n}" for n in NAMES
    }
    manifest = results.manifest()
    assert {f["filename"]: f["sha256"] for f in manifest["files"]} == SHA256
    assert {f["path"] for f in manifest["files"]} == {f"{names.source}/{name}" for name in NAMES}
    (published,) = names.first.manifest_puts
    (local,) = (results.root / "manifests").iterdir()
    assert stored(s3, names.bucket, published) == local.read_bytes()
    moved = {row["path"] for row in results.table("plan.tsv") if row["action"] == "move"}
    assert moved == set(NAMES)


def test_sha256sum_agrees(names: Names) -> None:
    tables = names.left.files("checksums")
    assert len(tables) > 2
    for table in tables:
        subprocess.run(
            ["sha256sum", "--check", "--strict", "--quiet", os.fspath(table)],
            cwd=names.source,
            check=True,
        )


def test_a_name_that_is_not_utf8_is_refused_alone(names: Names) -> None:
    failed = [line for line in names.first.lines if "FAILED" in line]
    assert len(failed) == 1
    assert failed[0].startswith("waybill: t: FAILED not utf-8 \\xff\\xe9: ")
    assert "UTF-8" in failed[0]
    refused = [row for row in names.left.table("plan.tsv") if row["status"] == "!"]
    assert [os.fsencode(row["path"]) for row in refused] == [REFUSED]


def test_a_second_run_leaves_them_alone(names: Names) -> None:
    run = names.run(code=1)
    assert run.operations == Counter(ListObjectsV2=1)
    assert run.jobs == Counter(inventory=1)  # the verdict fails its own
    assert [line for line in run.lines if "FAILED" in line] == [
        line for line in names.first.lines if "FAILED" in line
    ]
    Path(os.fsdecode(os.fsencode(names.source) + b"/" + REFUSED)).unlink()
    run = names.run()
    assert run.operations == Counter(ListObjectsV2=1)
    assert not any("FAILED" in line for line in run.lines)


def test_a_failure_is_one_line_whatever_the_name(tmp_path: Path, bucket: str, proxy: Proxy) -> None:
    workflow = Workflow(tmp_path, proxy)
    names = ["fol\nder/\ttab/\x1b[31mred", "línea\u2028separator"]
    for name in (*names, "plain.txt"):
        workflow.write(name, CONTENT[name])
    workflow.configure(t={"destination": f"s3://{bucket}/{PREFIX}"})
    workflow.run()
    for name in names:
        workflow.write(name, b"changed")
    fault = proxy.fault(Answer(400, "InvalidArgument", "not today"), op="PutObject")
    run = workflow.run(code=1)
    proxy.faults.remove(fault)
    assert fault.hits == 2
    failed = sorted(line for line in run.output.split("\n") if "FAILED" in line)
    key = f"s3://{bucket}/{PREFIX}/"
    assert len(failed) == 2
    for line, name in zip(
        failed, [r"fol\nder/\ttab/\x1b[31mred", r"línea\u2028separator"], strict=True
    ):
        assert line.startswith(f"waybill: t: FAILED {name}: {key}{name}")
        assert line.isprintable()
        assert "not today" in line
    assert workflow.run().data_puts == [f"{PREFIX}/{name}" for name in names]
