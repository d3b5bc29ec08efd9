"""What S3 says about an object, against the right bytes and against bytes with one bit wrong."""

import base64
import hashlib
import random
import zlib

import pytest
from awscrt import checksums as crt
from hypothesis import given, settings
from hypothesis import strategies as st

from waybill.s3.object_check import ObjectCheck

MIB = 1 << 20
DATA = random.Random(3).randbytes(10_000)
CUT = [4000, 4000, 2000]  # of DATA into parts

DIGESTS = {
    "SHA256": lambda data: hashlib.sha256(data).digest(),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "CRC64NVME": lambda data: crt.crc64nvme(data).to_bytes(8, "big"),
    "CRC32C": lambda data: crt.crc32c(data).to_bytes(4, "big"),
    "CRC32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
}


def b64(digest):
    return base64.b64encode(digest).decode()


def md5(data):
    return hashlib.md5(data).digest()


def pieces(data, sizes):
    start = 0
    for size in sizes:
        yield data[start : start + size]
        start += size


def of_parts(digest, data=DATA, sizes=CUT):
    """The checksum of the checksums of parts."""
    return digest(b"".join(digest(piece) for piece in pieces(data, sizes)))


def composite(name):
    return {f"Checksum{name}": f"{b64(of_parts(DIGESTS[name]))}-3", "ChecksumType": "COMPOSITE"}


def told(count):
    assert count == len(CUT)
    return CUT


def untold(_count):
    return None


def nobody(_count):
    raise AssertionError("nobody is to be asked for parts")


def verdict(head, data=DATA, size=None, part_sizes=nobody, blocks=(1, 3999, 2, 1 << 20)):
    """Name and answer of a check; the data comes in blocks of these sizes."""
    check = ObjectCheck(head, len(data) if size is None else size, part_sizes)
    rest = memoryview(data)
    for length in blocks:
        check.update(bytes(rest[:length]))
        rest = rest[length:]
    check.update(bytes(rest))
    assert check.sha256 == hashlib.sha256(data).hexdigest()
    return check.name, check.agrees()


def one_bit_wrong(data, at=5000):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


METADATA = {"Metadata": {"source-sha256": hashlib.sha256(DATA).hexdigest()}}
NO_MD5 = {"ETag": '"not-an-md5"'}
IN_PARTS = {"ETag": f'"{of_parts(md5).hex()}-3"'}
HEADS = {
    "source-sha256": (METADATA, nobody),
    **{n: ({f"Checksum{n}": b64(d(DATA)), **NO_MD5}, nobody) for n, d in DIGESTS.items()},
    "CRC64NVME of parts": (
        {"ChecksumCRC64NVME": b64(DIGESTS["CRC64NVME"](DATA)), "ChecksumType": "FULL_OBJECT"}
        | IN_PARTS,
        nobody,
    ),
    **{f"composite {n}": (composite(n) | IN_PARTS, told) for n in ("SHA256", "CRC32C", "CRC32")},
    "MD5": ({"Metadata": {"Md5chksum": b64(md5(DATA))}, **IN_PARTS}, untold),
    "MD5 ETag": ({"ETag": f'"{md5(DATA).hex()}"', "ServerSideEncryption": "AES256"}, nobody),
    "composite MD5 ETag": (IN_PARTS, told),
}


@pytest.mark.parametrize("kind", HEADS)
def test_the_right_bytes_agree_and_one_wrong_bit_does_not(kind):
    head, part_sizes = HEADS[kind]
    name = kind.removeprefix("composite ").removesuffix(" of parts")
    assert verdict(head, part_sizes=part_sizes) == (name, True)
    for at in (0, 4000, len(DATA) - 1):
        assert verdict(head, one_bit_wrong(DATA, at), part_sizes=part_sizes) == (name, False)
    assert verdict(head, DATA[:-1], len(DATA), part_sizes) == (name, False)
    assert ObjectCheck(head, len(DATA), part_sizes).is_sure


@pytest.mark.parametrize("kind", HEADS)
@settings(max_examples=15)
@given(lengths=st.lists(st.integers(0, 9000), max_size=20))
def test_however_the_blocks_are_cut(kind, lengths):
    head, part_sizes = HEADS[kind]
    assert verdict(head, part_sizes=part_sizes, blocks=lengths)[1] is True


@given(st.lists(st.integers(1, 700), min_size=1, max_size=9), st.lists(st.integers(0, 900)))
def test_parts_of_any_sizes(sizes, blocks):
    data = DATA[: sum(sizes)]
    for name in ("SHA256", "CRC32C"):
        checksum = f"{b64(of_parts(DIGESTS[name], data, sizes))}-{len(sizes)}"
        head = {f"Checksum{name}": checksum, "ChecksumType": "COMPOSITE"}
        assert verdict(head, data, part_sizes=lambda _: sizes, blocks=blocks) == (name, True)
        wrong = one_bit_wrong(data, len(data) // 2)
        assert verdict(head, wrong, part_sizes=lambda _: sizes, blocks=blocks) == (name, False)


def test_an_empty_object():
    for name, digest in DIGESTS.items():
        assert verdict({f"Checksum{name}": b64(digest(b""))}, b"") == (name, True)
    assert verdict({"ETag": f'"{md5(b"").hex()}"'}, b"") == ("MD5 ETag", True)


def test_the_strongest_decides():
    """A weaker one that differs is not even looked at."""
    weaker = {"ETag": '"' + "0" * 32 + '"', "ChecksumCRC32": b64(bytes(4))}
    assert verdict(METADATA | weaker)[0] == "source-sha256"
    order = ["SHA256", "SHA1", "CRC64NVME", "CRC32C", "CRC32"]
    for i, name in enumerate(order):
        head = {f"Checksum{n}": b64(DIGESTS[n](b"else")) for n in order[i + 1 :]}
        head |= {f"Checksum{name}": b64(DIGESTS[name](DATA)), "ETag": weaker["ETag"]}
        assert verdict(head) == (name, True)
    whole = {"ChecksumCRC32": b64(DIGESTS["CRC32"](DATA)), "ChecksumType": "FULL_OBJECT"}
    assert verdict(whole | IN_PARTS) == ("CRC32", True)


@pytest.mark.parametrize("size_mib", [5, 8, 16, 50])  # rclone, aws, this project, s5cmd
def test_part_sizes_nobody_tells_are_guessed(size_mib):
    data = DATA[: 1 << 12] * 256 * (size_mib + 1)
    sizes = [size_mib * MIB, MIB]
    head = {"ETag": f'"{of_parts(md5, data, sizes).hex()}-2"'}
    assert verdict(head, data, part_sizes=untold) == ("MD5 ETag", True)
    # Bytes that do not fit may be damaged, or cut in another way.
    assert verdict(head, one_bit_wrong(data), part_sizes=untold) == ("MD5 ETag", None)
    assert not ObjectCheck(head, len(data), untold).is_sure
    # So a guess is the last resort.
    head["Metadata"] = {"md5chksum": b64(md5(data))}
    head |= {"ChecksumCRC32": f"{b64(bytes(4))}-2", "ChecksumType": "COMPOSITE"}
    assert verdict(head, one_bit_wrong(data), part_sizes=untold) == ("MD5", False)


@pytest.mark.parametrize("sizes", [[4000, 4000], [10_000] * 3, [0, 0, 0], [4000, 4000, 2001], []])
def test_part_sizes_that_are_not_the_objects_are_not_believed(sizes):
    """Some stores answer a question for a part with the size of the whole."""
    assert verdict(IN_PARTS, part_sizes=lambda _: sizes) == ("", None)


@pytest.mark.parametrize(
    "head",
    [
        {},
        {"ETag": ""},
        NO_MD5,
        {"ETag": f'"{md5(DATA).hex()}-0"'},
        {"ETag": f'"{md5(DATA).hex()}"', "ServerSideEncryption": "aws:kms"},
        {"ETag": f'"{md5(DATA).hex()}"', "ServerSideEncryption": "aws:kms:dsse"},
        {"ETag": f'"{md5(DATA).hex()}"', "SSECustomerAlgorithm": "AES256"},
        IN_PARTS,
        # SHA-256 of parts, from a store that does not say so.
        {"ChecksumSHA256": b64(of_parts(DIGESTS["SHA256"])), **IN_PARTS},
        {"ChecksumCRC32": b64(bytes(4)), "ChecksumType": "COMPOSITE"},
    ],
)
def test_nothing_to_tell_by(head):
    assert verdict(head, part_sizes=untold) == ("", None)
    assert verdict(head, one_bit_wrong(DATA), part_sizes=untold) == ("", None)
    assert not ObjectCheck(head, len(DATA), untold).is_sure


def test_encrypted_by_kms_the_native_checksum_counts():
    head = {"ChecksumCRC32": b64(DIGESTS["CRC32"](DATA)), "ServerSideEncryption": "aws:kms"}
    assert verdict(head) == ("CRC32", True)


GARBAGE = [
    "x",
    "deadbeef",
    "z" * 64,
    " " * 64,
    "é" * 64,
    "ab " * 22,
    "AAAA",
    "====",
    "A-1",
    "-",
    "",
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_no_checksum(garbage):
    """Other tools may use these names for something else; the ETag then has to do."""
    head = {"ETag": f'"{md5(DATA).hex()}"', "ChecksumSHA256": garbage, "ChecksumCRC32": garbage}
    head["Metadata"] = {"Source-SHA256": garbage, "md5chksum": garbage}
    assert verdict(head) == ("MD5 ETag", True)
    assert verdict(head, one_bit_wrong(DATA)) == ("MD5 ETag", False)


@given(st.text(), st.text())
def test_any_metadata(one, other):
    head = {"Metadata": {"source-sha256": one, "md5chksum": other, one: other}, "ETag": other}
    assert verdict(head, part_sizes=untold)[1] in (None, False)


def test_metadata_in_any_case():
    name, value = "Source-Sha256", METADATA["Metadata"]["source-sha256"]
    assert verdict({"Metadata": {name: value.upper()}}) == ("source-sha256", True)
