"""The manifest: all fields of the seed, true UTC, natural order."""

import json
from datetime import UTC, datetime
from pathlib import Path

from waybill.config.read import load
from waybill.results.manifest import manifest, natural_key
from waybill.results.marker import Proof
from waybill.results.published import known_sha256

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


def proof(path, **changes):
    base = Proof(path, f"gut/gut-v1/source-datasets/{path}", 7, 1_767_323_045_678_901_234,
                 "ab" * 32, "etag", "", "2026-01-02T03:04:04.000Z")  # fmt: skip
    return base._replace(**changes)


def transfer(tmp_path):
    (tmp_path / "c.toml").write_text(
        f'[transfers.gut]\npreset = "hca"\nsource = "{tmp_path}"\nhca.atlas = "gut-v1"\n'
    )
    return load(tmp_path / "c.toml")["gut"]


def assembled(tmp_path, proofs):
    return json.loads(b"".join(manifest(transfer(tmp_path), "source-datasets", proofs, NOW)))


def test_every_field_of_the_guide_and_of_the_real_tool(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    document = assembled(tmp_path, [proof("s1.h5ad", version_id="v1")])
    assert document["manifest_version"] == "1.0"
    assert document["generated_at"] == "2026-01-02T03:04:05.678Z"
    assert document["submission_id"] == "submission_20260102_030405_678"
    assert document["submitter"] == {}
    metadata = document["metadata"]
    assert (
        metadata["upload_destination"] == "s3://hca-atlas-tracker-data/gut/gut-v1/source-datasets/"
    )
    assert metadata["upload_timestamp"] == "2026-01-02T03:04:04.000Z"
    assert metadata["tool"] == "hca-smart-sync"
    assert metadata["version"]
    assert document["files"] == [
        {
            "filename": "s1.h5ad",
            "path": f"{tmp_path}/s1.h5ad",
            "size_bytes": 7,
            "sha256": "ab" * 32,
            "modified_at": "2026-01-02T03:04:05.678Z",
            "last_modified": "2026-01-02T03:04:05.678Z",
            "key": "gut/gut-v1/source-datasets/s1.h5ad",
            "etag": "etag",
            "version_id": "v1",
        }
    ]


def test_files_stand_in_natural_order(tmp_path):
    names = ["sample10.h5ad", "sample2.h5ad", "sample1.h5ad", "10.h5ad", "9.h5ad", "b", "a1b2"]
    found = [f["filename"] for f in assembled(tmp_path, map(proof, names))["files"]]
    assert found == ["9.h5ad", "10.h5ad", "a1b2", "b", "sample1.h5ad", "sample2.h5ad",
                     "sample10.h5ad"]  # fmt: skip
    assert natural_key("٣") < natural_key("٤")  # digits of other scripts do no harm


def test_an_empty_dataset_is_still_a_document(tmp_path):
    assert assembled(tmp_path, [])["files"] == []


def test_any_name_comes_back(tmp_path):
    names = ['q"uote', "new\nline", "é", "e\u0301", "back\\slash"]
    found = [f["filename"] for f in assembled(tmp_path, map(proof, names))["files"]]
    assert sorted(found) == sorted(names)


class Bucket:
    """Published manifests by key; counts what is fetched."""

    def __init__(self, **manifests):
        self.manifests, self.fetched = manifests, []

    def list_prefix(self, prefix):
        for key in self.manifests:
            yield proof(key)

    def get(self, key, most_bytes):
        self.fetched.append(Path(key).name)
        return self.manifests[Path(key).name]


def test_the_newest_manifest_of_this_destination_tells_the_hashes(tmp_path):
    it = transfer(tmp_path)
    mine = b"".join(manifest(it, "source-datasets", [proof("a.h5ad")], NOW))
    newest = mine.replace(b'"etag": "etag"', b'"etag": "newer"')
    other = mine.replace(b'source-datasets/"', b'integrated-objects/"')
    name = "manifest-2026-01-0{}-00-00-00-000.json".format
    bucket = Bucket(**{name(1): mine, name(2): newest, name(3): other, name(4): b"{broken",
                       "other.json": b""})  # fmt: skip
    known = known_sha256(it, bucket, [])
    assert known == {"a.h5ad": (7, "newer", "ab" * 32)}
    assert bucket.fetched == [name(4), name(3), name(2)]
    assert known_sha256(it, Bucket(), []) == {}
