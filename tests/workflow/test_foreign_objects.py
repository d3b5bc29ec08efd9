"""Objects that other tools put there: each is held against what its tool left to tell by, so it
downloads and verifies as one of our own, and a damaged byte does not pass.

s5cmd and rclone are the real ones. `aws s3 cp` cannot be: awscli and Snakemake want versions of
docutils that exclude each other. Its objects are made by the library it is made of, s3transfer,
with the same defaults: parts of 8 MiB, and a CRC32 (version 1), a CRC64NVME (version 2), or before
2025 no checksum at all.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.downloads import MIB, add_download, fetched, files, remove_objects, unfinished
from support.failing import Fleet, fleet
from support.proxy import FlipByte, Proxy
from support.server import S3Server
from support.workflow import Workflow

BIN = Path(sys.executable).parent
SMALL = {
    "empty": b"",
    "small.csv": b"a,b\n1,2\n",
    "fol der/ü+%41 名.txt": b"text" * 99,
}


@pytest.fixture
def ships(s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(s3.endpoint_url, Workflow(tmp_path, proxy), bucket) as ships:
        yield ships
    remove_objects(s3, bucket)


def make_source(folder: Path, size: int) -> dict[str, bytes]:
    """A folder of small files and one of ``size`` bytes; what they hold."""
    content = {**SMALL, "big.tif": random.Random(size).randbytes(size)}
    for path, data in content.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return content


def run_tool(s3: S3Server, *arguments: str, **env: str) -> None:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "RCLONE_"))}
    command = [os.fspath(BIN / arguments[0]), *arguments[1:]]
    done = subprocess.run(
        command, env={**inherited, **s3.env(), **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def s5cmd(s3: S3Server, folder: Path, url: str) -> None:
    run_tool(s3, "s5cmd", "--endpoint-url", s3.endpoint_url, "cp", f"{folder}/", f"{url}/")


def rclone(s3: S3Server, folder: Path, url: str) -> None:
    remote = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENV_AUTH": "true",
        "ENDPOINT": s3.endpoint_url,
        "REGION": "us-east-1",
        "NO_CHECK_BUCKET": "true",
        "UPLOAD_CUTOFF": "5M",  # by default it sends parts of 5 MiB from 200 MiB on
    }
    settings = {f"RCLONE_CONFIG_THERE_{name}": value for name, value in remote.items()}
    target = url.replace("s3://", "there:")
    run_tool(s3, "rclone", "copy", os.fspath(folder), target, RCLONE_CONFIG="", **settings)


def aws(s3: S3Server, folder: Path, url: str, extra: Mapping[str, str], **config: Any) -> None:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    client = s3.client(**config)
    for path in folder.rglob("*"):
        if path.is_file():
            key = f"{prefix}/{path.relative_to(folder)}"
            client.upload_file(os.fspath(path), bucket, key, ExtraArgs=dict(extra))


def put_by_all(ships: Fleet, s3: S3Server, source: Path) -> dict[str, bytes]:
    """One folder of each tool; what the files hold."""
    url = f"s3://{ships.bucket}/data"
    content: dict[str, bytes] = {}
    for name, size, parts in (
        ("s5cmd", 66 * MIB, 2),  # parts of 50 MiB
        ("rclone", 17 * MIB + 1, 4),
        ("aws-crc32", 17 * MIB, 3),
        ("aws-crc64", 17 * MIB, 3),
        ("aws-plain", 65 * MIB, 9),
    ):
        folder, target = source / name, f"{url}/{name}"
        made = make_source(folder, size)
        match name:
            case "s5cmd":
                s5cmd(s3, folder, target)
            case "rclone":
                rclone(s3, folder, target)
            case "aws-crc32":
                aws(s3, folder, target, {})
            case "aws-crc64":
                aws(s3, folder, target, {"ChecksumAlgorithm": "CRC64NVME"})
            case "aws-plain":
                aws(s3, folder, target, {}, request_checksum_calculation="when_required")
        head = s3.client().head_object(Bucket=ships.bucket, Key=f"data/{name}/big.tif")
        assert head["ETag"].endswith(f'-{parts}"')  # so it really came in parts
        content |= {f"{name}/{path}": data for path, data in made.items()}
    return content


def test_they_download_and_verify(ships: Fleet, s3: S3Server, tmp_path: Path) -> None:
    content = put_by_all(ships, s3, tmp_path / "source")
    way = add_download(ships, s3, "data", {})
    # One byte of one answer about each: it comes once more, and is right then.
    damaged = [path for path in content if path.endswith(("big.tif", "small.csv"))]
    for path in damaged:
        way.fault(FlipByte("response", 3), op="GetObject", key=path, times=1)

    ships.run()

    assert files(way.folder) == content
    assert unfinished(way.folder) == []
    assert way.marked() == content.keys()
    asked = fetched(way)
    for path, data in content.items():
        ranges = [1, 2, 3, 4, 5] if len(data) > 64 * MIB else [None]
        times = 2 if path in damaged else 1
        assert Counter(asked[path]) == Counter(times * ranges), path
        head = s3.client().head_object(Bucket=ships.bucket, Key=f"data/{path}")
        assert (way.folder / path).stat().st_mtime == head["LastModified"].timestamp()
    (log,) = way.results.root.glob("logs/download/*/*.log")
    assert log.read_text().count("damaged, ") == len(damaged)
    assert "no checksum to hold their bytes against" not in log.read_text()

    ships.mend()
    verified = ships.run("verify", config="verify={depth: content}")
    assert [line for line in verified.lines if "FAILED" in line] == []
    assert fetched(way).keys() == content.keys()
    assert ships.run().jobs == Counter(inventory=1, all=1)
