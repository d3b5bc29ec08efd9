"""The truth table of `same_bytes`, cell by cell, and what a file costs to be compared."""

from __future__ import annotations

import hashlib
import inspect
import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from awscrt import checksums as crt

from waybill.s3 import same_bytes as same_bytes_module
from waybill.s3.checksums import claimed, stored
from waybill.s3.object_check import ObjectCheck, by_sha256, check_file
from waybill.s3.parts import part_size
from waybill.s3.same_bytes import PROVEN, REPLACED, UNPROVEN, Word, same_bytes
from waybill.system.resources import project_root

MIB = 1 << 20
SIGNS = {True: "=", False: "*", None: "!"}

# What the store's own checksum says, and the claims; how the ETag stands to the proven one.
TABLE = {
    ("differs", "none"): "* * *",
    ("differs", "same"): "* * *",
    ("differs", "differ"): "* * *",
    ("same", "none"): "= = =",
    ("same", "same"): "= = =",
    ("same", "differ"): "= = =",
    ("none", "same"): "= = *",
    ("none", "differ"): "= * *",
    ("none", "one of two"): "= * *",
    ("none", "none"): "= ! !",
}
STORE = {"differs": Word("CRC32", False), "same": Word("CRC32", True), "none": None}
CLAIMS = {
    "same": [Word("source-sha256", True), Word("MD5", True)],
    "differ": [Word("source-sha256", False)],
    "one of two": [Word("source-sha256", True), Word("MD5", False)],
    "none": [],
}
ETAGS = (PROVEN, UNPROVEN, REPLACED)


@pytest.mark.parametrize("etag", ETAGS)
@pytest.mark.parametrize(("store", "claims"), TABLE)
def test_the_truth_table(store: str, claims: str, etag: str) -> None:
    verdict = same_bytes(etag, STORE[store], CLAIMS[claims])
    assert SIGNS[verdict.same] == TABLE[store, claims].split()[ETAGS.index(etag)]
    # What contradicts what is told: a claim that says otherwise is named, and so is what decided.
    said = {word.same for word in CLAIMS[claims]}
    assert bool(verdict.against) == (verdict.same is not None and said - {verdict.same} != set())
    assert bool(verdict.reason) == (verdict.same is not None)
    assert verdict.against in verdict.reason
    assert (verdict.by == "") == (verdict.same is None)


def in_docstring() -> list[list[str]]:
    """The rows of the table in the docstring of the module, without its head."""
    text = inspect.getdoc(same_bytes_module).split("::\n\n")[1].split("\n\n")[0]
    return [re.split(" {2,}", line.strip()) for line in text.splitlines()[1:]]


def in_docs() -> list[list[str]]:
    """The rows of the table in docs/verify.md, without its head."""
    text = (project_root() / "docs" / "verify.md").read_text(encoding="utf-8")
    table = text.split("\n| the store's checksum |")[1].split("\n\n")[0]
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("rows", [in_docstring, in_docs])
def test_the_truth_table_is_the_one_that_is_told(rows: Callable[[], list[list[str]]]) -> None:
    words = {"all the same": "same", "one differs": "differ"}
    told = {}
    for store, claims, *cells in rows():
        signs = " ".join(cell.replace("`", "")[0] for cell in cells)
        claims = words.get(claims, claims)
        for kind in ("none", "same", "differ") if claims == "any" else (claims,):
            assert (store, kind) not in told
            told[store, kind] = signs
    assert told == {key: signs for key, signs in TABLE.items() if key[1] != "one of two"}


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (same_bytes(UNPROVEN, None, CLAIMS["same"]), "same SHA-256"),
        (same_bytes(UNPROVEN, STORE["same"], []), "same CRC32"),
        (
            same_bytes(UNPROVEN, STORE["same"], CLAIMS["differ"]),
            "same CRC32; its source-sha256 is wrong",
        ),
        (same_bytes(UNPROVEN, None, CLAIMS["differ"]), "SHA-256 differs"),
        (same_bytes(UNPROVEN, STORE["differs"], []), "SHA-256 differs: its CRC32 is another"),
        (
            same_bytes(UNPROVEN, STORE["differs"], CLAIMS["same"]),
            "SHA-256 differs: its source-sha256 is that of the file, but its CRC32 is not",
        ),
        (
            same_bytes(REPLACED, None, CLAIMS["same"]),
            "its ETag is another than the proven one, so its source-sha256 does not count",
        ),
    ],
)
def test_the_reason_says_what_contradicts_what(verdict: Any, reason: str) -> None:
    assert verdict.reason == reason


DATA = bytes(range(250)) * (20 * MIB // 250 + 1)
SIZE = len(DATA)
OURS, OTHER = hashlib.sha256(DATA).hexdigest(), "0" * 64


def b64(digest: bytes) -> str:
    return b64encode(digest).decode()


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def md5(data: bytes) -> bytes:
    return hashlib.md5(data).digest()


def cut(sizes: list[int], data: bytes = DATA) -> list[bytes]:
    found, start = [], 0
    for size in sizes:
        found.append(data[start : start + size])
        start += size
    return found


def in_parts(sizes: list[int], *, like: Any = md5) -> bytes:
    return like(b"".join(like(piece) for piece in cut(sizes)))


def meta(**claims: str) -> dict[str, Any]:
    return {"Metadata": {name.replace("_", "-"): text for name, text in claims.items()}}


OURS_META, OTHER_META = meta(source_sha256=OURS), meta(source_sha256=OTHER)
FROZEN = [part_size(SIZE), SIZE - part_size(SIZE)]
USUAL = [8 * MIB, 8 * MIB, SIZE - 16 * MIB]
ODD = [7 * MIB, 7 * MIB + 1, SIZE - 14 * MIB - 1]
KMS = {"ServerSideEncryption": "aws:kms"}
CRC64 = {
    "ChecksumCRC64NVME": b64(crt.crc64nvme(DATA).to_bytes(8, "big")),
    "ChecksumType": "FULL_OBJECT",
    "ETag": f'"{"0" * 32}-3"',
}
OTHER_CRC64 = CRC64 | {"ChecksumCRC64NVME": b64(bytes(8))}


def etag(sizes: list[int]) -> dict[str, Any]:
    return {"ETag": f'"{in_parts(sizes).hex()}-{len(sizes)}"'}


def composite(sizes: list[int]) -> dict[str, Any]:
    checksum = f"{b64(in_parts(sizes, like=sha256))}-{len(sizes)}"
    return {"ChecksumSHA256": checksum, "ChecksumType": "COMPOSITE", "ETag": CRC64["ETag"]}


@pytest.mark.parametrize(
    ("head", "sizes", "expected", "by", "against", "reads", "asked"),
    [
        # Nothing is read where a SHA-256 is told, and nobody is asked for parts.
        ({"ChecksumSHA256": b64(sha256(DATA))} | OTHER_META, None, "=", "SHA256", "source-sha256",
         0, 0),
        ({"ChecksumSHA256": b64(sha256(b""))} | OURS_META, None, "*", "SHA256", "source-sha256",
         0, 0),
        (KMS | {"ETag": '"' + "1" * 32 + '"'} | OURS_META, None, "=", "source-sha256", "", 0, 0),
        (KMS | {"ETag": '"' + "1" * 32 + '"'}, None, "!", "", "", 0, 0),
        ({"StorageClass": "EXPRESS_ONEZONE", "ETag": '"' + "1" * 32 + '"'} | OURS_META, None, "=",
         "source-sha256", "", 0, 0),
        # One read for what the store tells of the whole.
        ({"ETag": f'"{md5(DATA).hex()}"'}, None, "=", "MD5 ETag", "", 1, 0),
        ({"ETag": f'"{md5(b"").hex()}"'} | OURS_META, None, "*", "MD5 ETag", "source-sha256", 1, 0),
        (CRC64, None, "=", "CRC64NVME", "", 1, 0),
        (OTHER_CRC64 | OURS_META, None, "*", "CRC64NVME", "source-sha256", 1, 0),
        # Parts as Waybill and others cut them can be guessed.
        (composite(FROZEN) | OURS_META, None, "=", "source-sha256", "", 1, 0),
        (composite(FROZEN) | OTHER_META, None, "=", "SHA256", "source-sha256", 1, 0),
        (etag(USUAL), None, "=", "MD5 ETag", "", 1, 0),
        # A guess that fails says nothing; then the sizes are asked for.
        (etag(ODD), ODD, "=", "MD5 ETag", "", 2, 1),
        (composite(ODD), ODD, "=", "SHA256", "", 2, 1),
        (etag(ODD), None, "!", "", "", 1, 1),
        (etag(ODD) | OURS_META, None, "=", "source-sha256", "", 1, 1),
        (etag(ODD) | OURS_META, USUAL, "*", "MD5 ETag", "source-sha256", 1, 1),
        (etag(ODD) | OTHER_META, None, "*", "source-sha256", "", 1, 0),
        # What rclone leaves, in the same read.
        (etag(ODD) | meta(md5chksum=b64(md5(DATA))), None, "=", "MD5", "", 1, 1),
        (etag(ODD) | meta(md5chksum=b64(md5(b""))), None, "*", "MD5", "", 1, 0),
        (etag(ODD) | meta(md5chksum=b64(md5(b"")), source_sha256=OURS), None, "*", "MD5",
         "source-sha256", 1, 1),
    ],
)  # fmt: skip
def test_a_file_and_what_it_costs(
    head: dict[str, Any], sizes: list[int] | None, expected: str, by: str, against: str,
    reads: int, asked: int,
) -> None:  # fmt: skip
    counts = {"reads": 0, "asked": 0}

    def read(update: Any) -> None:
        counts["reads"] += 1
        for start in range(0, SIZE, MIB):
            update(DATA[start : start + MIB])

    def part_sizes(_count: int) -> list[int] | None:
        counts["asked"] += 1
        return sizes

    verdict = check_file(head, SIZE, OURS, read, part_sizes)
    assert SIGNS[verdict.same] == expected
    assert (verdict.by, verdict.against) == (by, against)
    assert counts == {"reads": reads, "asked": asked}

    # Rewritten since it was proven: a claim does not count, the store's own checksum does.
    again = check_file(head, SIZE, OURS, read, part_sizes, replaced=True)
    alone = verdict.by in ("source-sha256", "MD5") and not any(
        told.parts == 0 or (expected == "=" and sizes is not None) for told in stored(head)
    )
    guessed = verdict.by == "source-sha256" and head.get("ChecksumSHA256")
    assert again.same is (False if alone and not guessed else verdict.same)


@pytest.mark.parametrize("name", ["SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"])
def test_the_newer_checksums(name: str) -> None:
    digests = {
        "SHA512": lambda data: hashlib.sha512(data).digest(),
        "MD5": md5,
        "XXHASH64": crt.XXHash.compute_xxhash64,
        "XXHASH3": crt.XXHash.compute_xxhash3_64,
        "XXHASH128": crt.XXHash.compute_xxhash3_128,
    }
    data = DATA[: 2 * MIB]
    head = {f"Checksum{name}": b64(digests[name](data)), "ETag": '"x"'}
    for blocks, same in ((data, True), (data[:-1] + b"?", False)):
        check = ObjectCheck(head, len(data), lambda _: None)
        check.update(blocks[:1000])
        check.update(blocks[1000:])
        assert (check.name, check.agrees()) == (name, same)


def test_bytes_that_came_from_the_object_itself() -> None:
    """They are right when a claim agrees with them; where the object was written again after its
    proof, a claim that does not agree says nothing."""

    def arrived(head: dict[str, Any], data: bytes = DATA[:100], **more: Any) -> tuple[str, Any]:
        check = ObjectCheck(head, 100, lambda _: None, **more)
        check.update(data)
        return check.name, check.agrees()

    claim = meta(source_sha256=sha256(DATA[:100]).hex())
    assert arrived(claim | {"ETag": '"' + "1" * 32 + '"'}) == ("source-sha256", True)
    assert arrived(claim, replaced=lambda: True) == ("source-sha256", True)
    assert arrived(OTHER_META) == ("source-sha256", False)
    assert arrived(OTHER_META, replaced=lambda: True) == ("", None)
    head = OTHER_META | {"ETag": f'"{md5(DATA[:100]).hex()}"'}
    assert arrived(head) == ("MD5 ETag", True)


def test_without_bytes_only_a_sha256_of_the_whole_tells() -> None:
    head = {"ETag": '"' + "1" * 32 + '"', "ChecksumCRC32": b64(bytes(4))}
    assert by_sha256(head, OURS, REPLACED).same is None
    assert by_sha256(head | OURS_META, OURS, REPLACED).same is False
    assert by_sha256(head | OURS_META, OURS, UNPROVEN).same is True
    assert by_sha256(composite(FROZEN), OURS, UNPROVEN).same is None
    garbage = {"ChecksumSHA256": "?", "Metadata": {"source-sha256": "?"}}
    assert by_sha256(garbage, OURS, UNPROVEN).same is None
    assert list(claimed(garbage)) == stored(garbage) == []
