"""Slips of people who type `snakemake`: each ends at once, with what to write."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def snakemake(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    mine = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SNAKEMAKE_"))}
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    return subprocess.run(
        [*command, *words], cwd=folder, env={**mine, **env}, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize(
    "words, says",
    [
        (
            ["--config", "toml=x.toml", "plan"],
            "--config takes all that follows it; write `snakemake plan --config toml=x.toml`",
        ),
        (
            ["-C", "plan", "verify"],
            "--config takes all that follows it; write `snakemake plan verify --config KEY=VALUE`",
        ),
        (["--configfile", "x.toml"], "--configfile is for YAML; write `--config toml=x.toml`"),
        (
            ["plan"],
            "config/config.toml: no such file; `--config toml=PATH` names another, `waybill init`"
            " writes one",
        ),
        (["plan", "--config", "toml=x.toml"], "x.toml: no such file"),
    ],
)
def test_a_slip_ends_at_once(tmp_path: Path, words: list[str], says: str) -> None:
    said = snakemake(tmp_path, *words)
    assert said.returncode == 2
    assert f"waybill: {says}" in said.stderr.splitlines()
    assert "Traceback" not in said.stderr


def test_the_configuration_of_the_demo_never_reaches_amazon(tmp_path: Path) -> None:
    """Not even with credentials at hand: it names a profile that only the demo has."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0)
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        said = snakemake(
            tmp_path, "--config", f"toml={ROOT}/config/config.toml",
            AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", AWS_DEFAULT_REGION="us-east-1",
            AWS_CONFIG_FILE=os.devnull, HTTPS_PROXY=url, HTTP_PROXY=url,
        )  # fmt: skip
        assert said.returncode == 2
        assert "AWS profile 'only-for-make-demo' is not configured" in said.stderr
        with pytest.raises(BlockingIOError):
            proxy.accept()
