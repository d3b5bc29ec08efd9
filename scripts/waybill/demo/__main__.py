"""``make demo``: the main job, on real ``.h5ad`` files and an S3 server on this machine.

Everything it makes stands under ``demo/`` in the working directory; the S3 server (moto) listens
on a free port of the loopback interface and ends with this command. An installed Waybill runs the
same with ``python -m waybill.demo``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from waybill.config.read import load
from waybill.model.units import format_size
from waybill.results.batch_tables import PLAN_COLUMNS
from waybill.results.layout import Layout
from waybill.system.resources import project_root
from waybill.system.tsv import rows

FOLDER = Path("demo")
CONFIG = project_root() / "config" / "config.toml"
START_SECONDS = 60

# name: cells, genes, share of the counts that are not zero
ATLAS = {
    "gut_fetal_10x.h5ad": (2_000, 2_000, 0.05),
    "gut_adult_10x.h5ad": (5_000, 2_000, 0.05),
    "gut_epithelium_smartseq2.h5ad": (500, 3_000, 0.2),
    "gut_integrated_dense.h5ad": (9_000, 2_000, 1.0),
}


def main() -> int:
    """Run the demo; returns the exit code."""
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    shutil.rmtree(FOLDER, ignore_errors=True)
    say("sample data, written by anndata")
    for path in write_atlas(FOLDER / "data"):
        print(f"  {path}  {format_size(path.stat().st_size)}")
    with s3_server() as environment:
        say(f"an S3 server at {environment['AWS_ENDPOINT_URL']}, with a bucket for the demo")
        (transfer,) = load(str(CONFIG)).values()
        write_profile(environment, transfer.profile)
        make_bucket(environment, transfer.bucket)
        layout = Layout(transfer.results)

        if code := snakemake(environment, "plan"):
            return code
        print("\n  " + "\t".join(PLAN_COLUMNS))
        for row in rows(layout.plan, PLAN_COLUMNS):
            row[6] = row[6][:16] + "…"
            print("  " + "\t".join(row))

        if code := snakemake(environment):
            return code
        print()
        print((layout.root / "summary.tsv").read_text(encoding="utf-8"))
        print(layout.manifest("source-datasets").read_text(encoding="utf-8"))

        if code := snakemake(environment, remark="a second time"):
            return code
        verify = ("verify", "--config", "verify={depth: content}")
        if code := snakemake(environment, *verify, remark="every byte on both sides"):
            return code
    say("sha256sum -c, without Waybill")
    for table in sorted((layout.root / "checksums").rglob("*.sha256")):
        check = ["sha256sum", "-c", str(table.resolve())]
        if code := subprocess.run(check, cwd=FOLDER / "data", check=False).returncode:
            return code
    say_what_follows()
    return 0


def say_what_follows() -> None:
    """Print what to type for the first files of one's own."""
    say("next: a first transfer of your own; it shows a plan and asks")
    activate = Path(sys.prefix, "bin", "activate")
    if activate.is_file() and shutil.which("waybill") != str(Path(sys.prefix, "bin", "waybill")):
        here = activate.relative_to(Path.cwd()) if activate.is_relative_to(Path.cwd()) else activate
        print(f"  source {here}")
    print("  waybill copy FOLDER s3://BUCKET/PREFIX")


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def write_atlas(folder: Path) -> list[Path]:
    """Write the sample ``.h5ad`` files; the same bytes of counts each time."""
    import anndata
    import numpy as np
    import pandas as pd
    from scipy import sparse

    folder.mkdir(parents=True)
    random = np.random.default_rng(20250130)
    paths = []
    for name, (cells, genes, density) in ATLAS.items():
        if density < 1:
            counts = sparse.random(cells, genes, density, "csr", np.float32, random)
        else:
            counts = random.standard_normal((cells, genes), dtype=np.float32)
        atlas = anndata.AnnData(
            counts,
            obs=pd.DataFrame(index=pd.Index([f"cell{i}" for i in range(cells)])),
            var=pd.DataFrame(index=pd.Index([f"gene{i}" for i in range(genes)])),
        )
        atlas.write_h5ad(folder / name, compression="gzip" if density < 1 else None)
        paths.append(folder / name)
    return paths


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """An embedded S3 server; gives the environment in which the AWS chain finds it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (FOLDER / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(url, server)
        mine = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        yield mine | {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "demo",
            "AWS_SECRET_ACCESS_KEY": "demo",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": str(FOLDER.absolute() / "aws-config"),
        }
    finally:
        server.terminate()
        server.wait()


def wait_for(url: str, server: subprocess.Popen) -> None:
    """Wait until the server answers. Raises SystemExit when it does not."""
    end = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < end:
        try:
            with urlopen(f"{url}/moto-api/data.json"):
                return
        except URLError:  # not up yet
            time.sleep(0.1)
    sys.exit(f"waybill: the S3 server did not start; see {FOLDER}/server.log")


def write_profile(environment: dict[str, str], name: str | None) -> None:
    """Write the AWS profile that the configuration of the demo names, so that whoever runs that
    configuration without the demo's server reaches nothing."""
    Path(environment["AWS_CONFIG_FILE"]).write_text(
        f"[profile {name}]\n"
        f"aws_access_key_id = {environment['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {environment['AWS_SECRET_ACCESS_KEY']}\n"
        f"region = {environment['AWS_DEFAULT_REGION']}\n",
        encoding="utf-8",
    )


def make_bucket(environment: dict[str, str], bucket: str) -> None:
    """Make the demo's bucket on the embedded server (Waybill itself never makes one)."""
    import boto3

    boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    ).create_bucket(Bucket=bucket)


def snakemake(environment: dict[str, str], *arguments: str, remark: str = "") -> int:
    """Show the command that a user would type, and run it; returns its exit code."""
    command = ["snakemake", *arguments]
    if Path.cwd() != project_root():
        config = [] if "--config" in command else ["--config"]
        snakefile = ["--snakefile", str(project_root() / "Snakefile")]
        command = ["snakemake", *snakefile, *arguments, *config, f"toml={CONFIG}"]
    say(shlex.join(command) + (f"  # {remark}" if remark else ""))
    command = [sys.executable, "-m", *command, "--quiet", "all"]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
