"""C5: the Content-Type of an object follows from its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from support.proxy import Proxy
from support.server import S3Server
from support.uploads import Uploads
from support.workflow import Workflow
from waybill.config import read
from waybill.s3.content_types import content_type, type_arguments


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/page.html", "text/html"), ("PLOT.PNG", "image/png"), ("x.json", "application/json"),
        ("reads.fastq.gz", "application/gzip"), ("scene.tif", "image/tiff"),
        ("t.tsv", "text/tab-separated-values"), ("calls.vcf", "text/plain"),
        ("S1.bam", ""), ("README", ""), (".html", ""), ("a.html/b", ""), ("x.", ""),
        ("x.h5", "application/x-hdf5"), ("notes.txt", "text/plain"), ("x.svg", "image/svg+xml"),
    ],
)  # fmt: skip
def test_C5_the_name_tells_the_type(path: str, kind: str) -> None:
    assert content_type(path) == kind


def test_C5_the_types_do_not_depend_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import mimetypes

    monkeypatch.setattr(mimetypes, "guess_type", lambda *_: ("text/of-this-machine", None))
    monkeypatch.setattr(mimetypes, "types_map", {".html": "text/of-this-machine"})
    assert content_type("x.html") == "text/html"


TYPES = {"page.html": "text/html", "a/plot.png": "image/png", "reads.bam": ""}


@pytest.mark.parametrize("engine", ["boto3", "native"])
def test_C5_objects_have_the_type_of_their_names(
    tmp_path: Path, s3: S3Server, proxy: Proxy, bucket: str, engine: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, value in proxy.env().items():
        monkeypatch.setenv(name, value)
    ships = Uploads(tmp_path, bucket, engine=engine)
    (ships.folder / "a").mkdir()
    large = b"in parts" * (65 << 17)
    items = [ships.item(path, path.encode()) for path in TYPES] + [ships.item("big.tiff", large)]
    assert ships.run(*items).failed == []

    def kinds() -> dict[str, str]:
        heads = {
            item.path: s3.client().head_object(Bucket=bucket, Key=f"data/{item.path}")
            for item in items
        }
        return {path: head.get("ContentType", "") for path, head in heads.items()}

    found = kinds()
    assert found.pop("reads.bam") in ("", "binary/octet-stream")
    assert found == {"page.html": "text/html", "a/plot.png": "image/png", "big.tiff": "image/tiff"}
    begun = [r for r in proxy.requests if r.op in ("PutObject", "CreateMultipartUpload")]
    told = {r.key.removeprefix("data/"): r.headers.get("content-type", "") for r in begun}
    assert told["big.tiff"] == "image/tiff"
    assert told["reads.bam"] in ("", "binary/octet-stream")
    proxy.requests.clear()
    ships.journal.unlink()
    ships.transfer = replace(ships.transfer, content_types=False, overwrite="always")
    assert ships.run(*items[:3]).failed == []
    assert set(list(kinds().values())[:3]) <= {"", "binary/octet-stream"}
    s3.client().delete_object(Bucket=bucket, Key="data/big.tiff")


def test_C5_a_type_alone_sends_nothing_again(tmp_path: Path, bucket: str, proxy: Proxy) -> None:
    """Results of an earlier version are those of a transfer without types."""
    work = Workflow(tmp_path, proxy)
    work.write("page.html", b"<html></html>")
    work.configure(t={"destination": f"s3://{bucket}/x", "content_types": False})
    assert work.run().data_puts == ["x/page.html"]
    work.configure(t={"destination": f"s3://{bucket}/x"})
    again = work.run()
    assert (again.data_puts, again.manifest_puts) == ([], [])
    work.write("more.html", b"<html></html>")
    assert work.run().data_puts == ["x/more.html"]
    client = proxy.client()
    kinds = {n: client.head_object(Bucket=bucket, Key=f"x/{n}.html") for n in ("page", "more")}
    assert kinds["more"]["ContentType"] == "text/html"
    assert kinds["page"]["ContentType"] != "text/html"


def test_C5_preset_hca_gives_none(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        f'[transfers.t]\npreset = "hca"\nsource = "{tmp_path}"\nhca.atlas = "gut-v1"\n'
        f'[transfers.u]\nsource = "{tmp_path}"\ndestination = "s3://bucket/x"\n'
    )
    found = read.load(tmp_path / "c.toml")
    assert type_arguments(found["t"], "a.h5ad") == {}
    assert type_arguments(found["u"], "a.h5ad") == {"ContentType": "application/x-hdf5"}
