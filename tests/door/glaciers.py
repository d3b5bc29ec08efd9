"""A user of ``sync-from-s3``: the data of two satellites in S3, a data folder, a configuration."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doors import TIMEOUT_SECONDS, Door, Spoken, checked

BASE = "1_download_merge_and_clip"
LAUNCHER = Path(__file__).parents[2] / "scripts" / "sync_from_s3.sh"

SCENES = [
    "S2A_MSIL2A_20240704T142751_N0510_R139.tif",
    "S2B_MSIL2A_20240709T142749_N0510_R139.tif",
]
TILES = [
    f"S2A_MSIL2A_20240704T142751_N0510_R139_T22WE{letter}_20240704T181502_B08.tif"
    for letter in "AB"
]
LANDSAT = [
    f"2024070{day}142514_LC8003017202418{day}LGN00_LC08_L1TP_003017_2024070{day}_20240712_02_T1"
    "_ortho.tif"
    for day in (4, 5, 6)
]


def tree(layout: str, region: str = "134_Arsuk") -> dict[str, bytes]:
    """The 13 files of a region in the layout ``old`` or ``new``: key below the base to content."""
    if layout == "old":
        clipped, csv, both = f"{region}/clipped", f"{region}/metadata/individual_csv", region
        download, template = f"{region}/download/2024", f"{region}/template"
    else:
        clipped, csv, both = f"clipped/{region}", f"metadata/individual_csv/{region}", ""
        download, template = "download/2024", "template"
    combined = f"{both}/metadata/combined_csv/{region}.csv".lstrip("/")
    sizes = {f"sentinel2/{clipped}/{name}": 17_000 for name in SCENES}
    sizes |= {f"sentinel2/{csv}/{name[:-4]}.csv": 300 for name in SCENES}
    sizes |= {f"sentinel2/{combined}": 600, f"sentinel2/{template}/{region}.tif": 16_000}
    sizes |= {f"sentinel2/{download}/{name}": 150_000 for name in TILES}
    sizes |= {f"landsat/{region}/{name}": 7_520 for name in LANDSAT}
    sizes[f"landsat/_reference/{region}.tif"] = 650
    sizes[f"landsat/_reference/{region}_stac_query_results.csv"] = 30
    return {path: content(path, size) for path, size in sizes.items()}


def content(name: str, size: int) -> bytes:
    """Bytes of a file's own."""
    seed = hashlib.sha256(name.encode()).digest()
    return (seed * (size // 32 + 1))[:size]


def is_tile(path: str) -> bool:
    return "/download/" in path


@dataclass
class Glacier(Door):
    """A user whose configuration stands in the project's folder in the home."""

    @property
    def project(self) -> Path:
        return self.home / "Github" / "greenland-glacier-flow"

    @property
    def base(self) -> Path:
        return self.data / BASE

    def configure(self, text: str = "", name: str = "config.toml") -> Path:
        """Write a configuration, by default one of the local data folder and the bucket."""
        self.project.mkdir(parents=True, exist_ok=True)
        file = self.project / name
        default = f'environment = "local"\n[paths]\nlocal_base_dir = "{self.data}"\n'
        file.write_text(text or f'{default}[s3]\nbucket = "{self.bucket}"\n')
        return file

    def sync(self, *arguments: str, code: int | None = 0, **more: Any) -> Spoken:
        return self.run(*arguments, command="glacier", code=code, **more)

    def launch(self, link: Path, *arguments: str, cwd: Path, code: int, **extra: str) -> Spoken:
        """Call the launcher of the clone, or a link to it, as it stands there."""
        first = len(self.proxy.requests)
        env = self.env(**extra)
        del env["PYTHONPATH"]
        done = subprocess.run(
            [link, *arguments], cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=TIMEOUT_SECONDS, check=False,
        )  # fmt: skip
        requests = self.proxy.requests[first:]
        return checked(Spoken(done.returncode, done.stdout, done.stderr, requests), code)

    def put(self, files: dict[str, bytes], bucket: str = "") -> None:
        """Put objects as a processing job does, without anything of Waybill's."""
        client = self.proxy.client()
        for path, body in files.items():
            client.put_object(Bucket=bucket or self.bucket, Key=f"{BASE}/{path}", Body=body)

    def place(self, path: str, body: bytes) -> Path:
        """Write a file into the data folder."""
        file = self.base / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
        return file

    def files(self) -> dict[str, bytes]:
        """What is below the base path of the data folder."""
        found = (path for path in self.base.rglob("*") if path.is_file())
        return {str(path.relative_to(self.base)): path.read_bytes() for path in found}


def fetched(said: Spoken) -> list[str]:
    """The paths below the base whose content was asked for, sorted."""
    keys = (r.key for r in said.requests if r.op == "GetObject")
    return sorted(key.removeprefix(f"{BASE}/") for key in keys if "/manifests/" not in key)
