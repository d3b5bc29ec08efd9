"""A user of ``pt5-uploader``: the folder of an instrument, a bucket, an environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doors import Door, Spoken

from support.proxy import Proxy
from support.server import ACCESS_KEY, SECRET_KEY

_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@dataclass
class Cytobot(Door):
    """A user whose keys are in ``.env`` alone while ``keyless``."""

    keyless: bool = False
    variables: dict[str, str] = field(default_factory=dict)

    def env(self, **extra: str) -> dict[str, str]:
        found = super().env(**self.variables, **extra)
        del found["HCA_S3_BUCKET"]
        ours = {"IFCB_DATA_DIR", "AWS_UPLOAD_URL", "NO_COLOR", *(_KEYS if self.keyless else ())}
        return {k: v for k, v in found.items() if k not in ours or k in {**self.variables, **extra}}

    def dot_env(self, **more: str) -> Path:
        """Write ``.env`` with the keys and ``more``, and do without them in the environment."""
        self.keyless = True
        values = dict(zip(_KEYS, (ACCESS_KEY, SECRET_KEY), strict=True)) | more
        file = self.home / ".env"
        file.write_text("# of a user\n" + "".join(f'{k}="{v}"\n' for k, v in values.items()))
        return file

    def upload(self, *arguments: str, code: int | None = 0, **more: Any) -> Spoken:
        more.setdefault("cwd", self.home)
        return self.run(*arguments, command="pt5", code=code, **more)

    def place(self, files: dict[str, bytes]) -> None:
        """Write files into the folder of the instrument."""
        for path, body in files.items():
            file = self.data / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)

    def objects(self, bucket: str = "") -> dict[str, bytes]:
        """The data in the bucket, manifests left out."""
        client = self.proxy.client()
        listing = client.list_objects_v2(Bucket=bucket or self.bucket)
        keys = (o["Key"] for o in listing.get("Contents", ()) if "manifests/" not in o["Key"])
        get = client.get_object
        return {k: get(Bucket=bucket or self.bucket, Key=k)["Body"].read() for k in keys}


def cytobot(tmp_path: Path, bucket: str, proxy: Proxy) -> Cytobot:
    """A user with an empty home and an empty folder."""
    home, data = tmp_path / "home", tmp_path / "data"
    for folder in (home, data):
        folder.mkdir()
    return Cytobot(home, data, bucket, proxy)
