"""What each depth of a verification names, and what it asks for, in both directions."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from datetime import date, datetime, tzinfo
from pathlib import Path

import pytest

from support.proxy import Proxy
from support.server import S3Server
from support.verifying import Verifying, tree
from waybill.model.errors import WaybillError
from waybill.results import marker, seals
from waybill.results.layout import Layout
from waybill.stages import verify
from waybill.verify.judge import in_sample

HARMED = ("flipped-here", "flipped-there", "touched", "gone-here", "gone-there")
FILES = {
    **{name: name.encode() * 9 for name in (*HARMED, "a", "folder/b", "empty")},
    "empty": b"",
    "new\nline": b"1",
    "%20+ü&": b"2",
}
# What each depth is to say of an upload; a download has the sides exchanged.
ALWAYS = {
    "flipped-there": "* destination",
    "gone-here": "- source",
    "gone-there": "+ destination",
    "new-here": "+ source",
    "new-there": "- destination",
}
NAMED = {
    "listing": ALWAYS | {"touched": "* source"},
    "metadata": ALWAYS | {"touched": "* source"},
    "content": ALWAYS | {"flipped-here": "* source"},
}
DOWN = {
    "* source": "* destination", "* destination": "* source", "- source": "+ destination",
    "+ destination": "- source", "+ source": "- destination", "- destination": "+ source",
    "= both": "= both",
}  # fmt: skip
ASKS = {"listing": {}, "metadata": {"HeadObject": len(FILES)}, "content": {"GetObject": len(FILES)}}


def harm(folder: Path, s3: S3Server, bucket: str, prefix: str) -> None:
    """One of each, on both sides of a transfer."""
    client = s3.client()

    def flipped(name: str) -> bytes:
        return FILES[name][:-1] + bytes([FILES[name][-1] ^ 1])

    status = (folder / "flipped-here").stat()
    (folder / "flipped-here").write_bytes(flipped("flipped-here"))
    os.utime(folder / "flipped-here", ns=(status.st_atime_ns, status.st_mtime_ns))
    # Whoever did this kept what the object says of itself.
    there = f"{prefix}/flipped-there"
    metadata = client.head_object(Bucket=bucket, Key=there)["Metadata"]
    client.put_object(Bucket=bucket, Key=there, Body=flipped("flipped-there"), Metadata=metadata)
    os.utime(folder / "touched", ns=(1, 1))
    (folder / "gone-here").unlink()
    client.delete_object(Bucket=bucket, Key=f"{prefix}/gone-there")
    (folder / "new-here").write_bytes(b"new")
    client.put_object(Bucket=bucket, Key=f"{prefix}/new-there", Body=b"new")


@pytest.fixture
def verifying(
    tmp_path: Path, proxy: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Verifying:
    return Verifying(tmp_path, proxy, bucket, monkeypatch)


def write(verifying: Verifying, direction: str, s3: S3Server) -> None:
    for path, data in FILES.items():
        if direction == "upload":
            (verifying.data / path).parent.mkdir(exist_ok=True)
            (verifying.data / path).write_bytes(data)
        else:
            s3.client().put_object(Bucket=verifying.bucket, Key=f"x/{path}", Body=data)


@pytest.mark.parametrize("direction", ["upload", "download"])
def test_each_depth(verifying: Verifying, s3: S3Server, direction: str) -> None:
    write(verifying, direction, s3)
    verifying.move(direction, batch={"max_files": 4})
    before = tree(verifying.results.parent)
    assert len(list(verifying.results.glob("markers/t/*.tsv"))) > 1

    def signs(depth: str) -> dict[str, str]:
        verifying.proxy.clear()
        return verifying.signs(depth, direction)

    for depth, asks in ASKS.items():
        assert signs(depth) == dict.fromkeys(FILES, "= both")
        assert Counter(r.op for r in verifying.proxy.requests) == {"ListObjectsV2": 1, **asks}
    harm(verifying.data, s3, verifying.bucket, "x")
    for depth, named in NAMED.items():
        expected = dict.fromkeys(FILES, "= both") | named
        if direction == "download":
            expected = {path: DOWN[sign] for path, sign in expected.items()}
        assert signs(depth) == expected
        assert {r.method for r in verifying.proxy.requests} <= {"GET", "HEAD"}
    assert tree(verifying.results.parent) == before

    # Once more, with nothing left but the bucket. What was moved is told by the manifest there,
    # which only an upload leaves.
    shutil.rmtree(verifying.results)
    found = signs("metadata")
    if direction == "download":
        assert found == {}
        assert verifying.state.files == 0
    else:
        assert found == dict.fromkeys(FILES, "= both") | NAMED["metadata"]
        assert verifying.state.origin.startswith(f"s3://{verifying.bucket}/x/manifests/manifest-")


def test_the_manifest_of_an_upload_tells_a_download_what_to_expect(
    verifying: Verifying, s3: S3Server
) -> None:
    write(verifying, "upload", s3)
    verifying.move()
    shutil.rmtree(verifying.results)
    expected = {path: "= both" for path in FILES if path.startswith("flipped")}
    for depth in NAMED:  # of the rest of the folder, which is not selected, nothing is said
        assert verifying.signs(depth, "download", include=["flipped*"]) == expected


def test_markers_that_are_gone(verifying: Verifying, s3: S3Server) -> None:
    """The last marker of an open batch stands in for it, and for both the manifest."""
    write(verifying, "upload", s3)
    verifying.move()
    agree = dict.fromkeys(FILES, "= both")
    (marked,) = verifying.results.glob("markers/t/*.tsv")
    (kept,) = verifying.results.glob("journal/t/*.tsv")
    proofs = list(marker.read(kept))
    layout = Layout(verifying.results)
    seals.write(layout, kept, marker.render([proof._replace(etag="old") for proof in proofs]))
    assert verifying.signs("listing") == agree  # the marker of now goes first
    marked.unlink()
    assert verifying.signs("listing") == dict.fromkeys(FILES, "* destination")
    later = kept.with_name("b1111111111111111.tsv")
    seals.write(layout, later, marker.render(proofs))
    assert verifying.signs("listing") == agree  # of two, the later one
    kept.unlink()
    later.unlink()
    assert verifying.signs("listing") == agree
    assert verifying.state.origin == str(verifying.results / "manifests" / "t.json")
    manifest = (verifying.results / "manifests" / "t.json").read_bytes()
    (verifying.results / "manifests" / "t.json").unlink()
    for stamp, data in (
        ("2998", manifest.replace(b"/x/", b"/y/")),  # of another transfer into this bucket
        ("2999", b'{"files": []}'),
    ):
        key = f"x/manifests/manifest-{stamp}-01-01-00-00-00-000.json"
        s3.client().put_object(Bucket=verifying.bucket, Key=key, Body=data)
    assert verifying.signs("listing") == agree
    assert verifying.state.origin.startswith("s3://")
    assert verifying.signs("content", publish=False) == {}
    assert verifying.state.files == 0

    # The manifest fills in for one batch, and what stands there of another dataset is not ours.
    verifying.move(batch={"max_files": 4})
    marked, *others = verifying.results.glob("markers/t/*.tsv")
    assert others
    foreign = verifying.results / "markers" / "old" / marked.name
    foreign.parent.mkdir()
    foreign.write_bytes(marked.read_bytes().replace(b"\tx/", b"\told/"))
    marked.unlink()
    (verifying.results / "journal" / "t" / marked.name).unlink()
    assert verifying.signs("listing") == agree
    assert verifying.state.origin == str(verifying.results / "manifests" / "t.json")


@pytest.mark.parametrize("days", [1, 2, 3])  # after which every file has had its turn
def test_a_sample_is_looked_at_and_all_are_there(
    days: int, verifying: Verifying, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime(2026, 1, days, tzinfo=tz)

    monkeypatch.setattr(verify, "datetime", Then)
    write(verifying, "upload", s3)
    verifying.move()
    sampled = {"verify": {"sample": "1/3"}}
    for depth in NAMED:
        found = verifying.signs(depth, **sampled)
        day = date.fromisoformat(verifying.state.day)
        turn = {path for path in FILES if in_sample(path, (1, 3), day)}
        assert found == dict.fromkeys(turn, "= both")
        assert (verifying.state.files, verifying.state.looked) == (len(FILES), len(turn))
    harm(verifying.data, s3, verifying.bucket, "x")
    for depth, named in NAMED.items():
        verifying.proxy.clear()
        found = verifying.signs(depth, **sampled)
        # What the bytes or an ETag of an entry tell is for its turn, what is missing is not.
        later = {"flipped-here", "flipped-there"} - turn if depth != "listing" else set()
        assert {p: s for p, s in found.items() if s != "= both"} == {
            path: sign for path, sign in named.items() if path not in later
        }
        requests = verifying.proxy.requests
        asked = {r.key for r in requests if r.op in ("HeadObject", "GetObject")}
        assert asked <= {f"x/{path}" for path in turn}


def test_proofs_of_another_place(verifying: Verifying, s3: S3Server) -> None:
    write(verifying, "upload", s3)
    verifying.move()
    with pytest.raises(WaybillError, match=r"proves what is in s3://.*run the transfer first"):
        verifying.verify("listing", destination="s3://another-bucket/x/")
    with pytest.raises(WaybillError, match=r"which is not in s3://.*run the transfer first"):
        verifying.verify("listing", destination=f"s3://{verifying.bucket}/y/")
    verifying.data.rename(verifying.folder / "unmounted")
    with pytest.raises(WaybillError, match="the folder is not there") as caught:
        verifying.verify("listing")
    assert caught.value.exit_code == 1


def test_a_placeholder_of_a_folder(verifying: Verifying, s3: S3Server) -> None:
    for key, body in (("x/f/", b""), ("x/f/a", b"1"), ("x/empty/", b"")):
        s3.client().put_object(Bucket=verifying.bucket, Key=key, Body=body)
    verifying.move("download")
    for depth in NAMED:
        found = verifying.signs(depth, "download")
        assert found == dict.fromkeys(("f/", "f/a", "empty/"), "= both")
    (verifying.data / "empty").rmdir()
    for depth in NAMED:
        assert verifying.signs(depth, "download")["empty/"] == "+ destination"


def test_what_the_walk_leaves_out(verifying: Verifying, s3: S3Server) -> None:
    """Files too young to be moved, and files that the selection has lost since they moved."""
    write(verifying, "upload", s3)
    verifying.move()
    (verifying.data / "new").write_bytes(b"1")
    (verifying.data / "not \udcff UTF-8").write_bytes(b"1")
    found = verifying.signs("content", settle=3600, exclude=["folder/"])
    assert found == dict.fromkeys(FILES, "= both") | {"not \udcff UTF-8": "! source"}
    assert verifying.state.held == 1
    (verifying.data / "folder" / "b").unlink()
    (verifying.data / "a").unlink()
    (verifying.data / "a").mkdir()
    (verifying.data / "touched").unlink()
    (verifying.data / "touched").symlink_to("nowhere")
    found = verifying.verify("content", settle=3600, exclude=["folder/"])
    assert found["folder/b"].startswith("- source")
    assert found["a"].startswith("! source is no file any more")
    assert found["touched"].startswith("! source broken symbolic link")


def test_sequencing_runs(verifying: Verifying, s3: S3Server) -> None:
    """Each run is a dataset. One that was moved and removed is to stay in the bucket, which is no
    failure; one that nobody has moved is."""
    info = "<RunInfo><Run Id={!r} Number='1'><Instrument>A01295</Instrument></Run></RunInfo>"
    files = ("CopyComplete.txt", "Data/L001.cbcl", "RTAComplete.txt", "RunInfo.xml")

    def make(name: str, *left_out: str) -> None:
        for path in set(files).difference(left_out):
            (verifying.data / name / path).parent.mkdir(parents=True, exist_ok=True)
            (verifying.data / name / path).write_text(info.format(name))

    one, two, three, four = (f"24102{i}_A01295_043{i}_BHK3NFDRX{i}" for i in (1, 2, 3, 4))
    make(one)
    make(two)
    settings = {"preset": "illumina"}
    verifying.move(**settings)
    before = tree(verifying.results.parent)
    agree = {f"{name}: {path}": "= both" for name in (one, two) for path in files}
    for depth in NAMED:
        assert verifying.signs(depth, **settings) == agree

    shutil.rmtree(verifying.data / one)
    make(three)
    make(four, "CopyComplete.txt")
    gone = {f"{one}: {verifying.data / one}": "- destination"}
    new = {f"{three}: {path}": "+ source" for path in files}
    for depth in NAMED:
        assert verifying.signs(depth, **settings) == agree | gone | new
        assert verifying.state.held == 1
    key = f"x/{one}/Data/L001.cbcl"
    body = (verifying.data / two / "Data/L001.cbcl").read_bytes()
    s3.client().put_object(Bucket=verifying.bucket, Key=key, Body=body)
    s3.client().delete_object(Bucket=verifying.bucket, Key=f"x/{one}/RunInfo.xml")
    worse = {
        f"{one}: Data/L001.cbcl": "* destination",
        f"{one}: RunInfo.xml": "+ destination",
    }
    for depth in NAMED:
        assert verifying.signs(depth, **settings) == agree | gone | new | worse
    assert tree(verifying.results.parent) == before
