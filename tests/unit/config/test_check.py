"""The configuration: how mistakes are reported."""

from __future__ import annotations

import pytest

from waybill.config import read
from waybill.model.errors import ConfigError

PLACE = 'source = "/data"\ndestination = "s3://bucket/prefix"\n'


@pytest.fixture
def problems(load):
    """The problems of a configuration given as text."""

    def _problems(text, **options):
        with pytest.raises(ConfigError) as caught:
            load(text, **options)
        assert str(caught.value) == "\n".join(caught.value.problems)
        assert caught.value.exit_code == 2
        return caught.value.problems

    return _problems


@pytest.fixture
def problem(problems):
    """The one problem that a setting of transfer ``t`` causes, without its name in front."""

    def _problem(settings, place=PLACE):
        (found,) = problems(f"[transfers.t]\n{place}{settings}")
        return found.removeprefix("c.toml: transfers.t.")

    return _problem


def test_all_mistakes_at_once(problems):
    found = problems(
        """
        compare = "size"
        [defaults]
        results = 3
        compare = "sha-256"
        batch = {max_files = 0, max_bytes = "12", size = 3}
        [transfers.a]
        source = "/data"
        compere = "HUSH"
        max_files = 3
        include = ["a["]
        accelerate = true
        endpoint_url = "http://HUSH:HUSH@host"
        [transfers."b c"]
        [transfers.d]
        source = "s3://x"
        destination = "s3://HUSH:HUSH@bucket/x"
        [transfers.e]
        preset = "hcaa"
        source = "$WAYBILL_UNSET/x"
        tags = {a = 1, "aws:x" = "y"}
        """
    )
    assert "HUSH" not in "".join(found)
    assert [line.split(": ")[1] for line in found] == [
        "compare",
        "defaults.results",
        "defaults.compare",
        "defaults.batch.max_files",
        "defaults.batch.max_bytes",
        "defaults.batch.size",
        "transfers.a.compere",
        "transfers.a.max_files",
        'transfers."b c"',
        "transfers.e.preset",
        "transfers.e.tags.a",
        'transfers.e.tags."aws:x"',
        "transfers.a.destination",
        "transfers.a.include[0]",
        "transfers.a.endpoint_url",
        "transfers.a.accelerate",
        "transfers.d.source",
        "transfers.d.destination",
        "transfers.e.source",
    ]
    assert all(line.startswith("c.toml: ") for line in found)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("compere = 1", 'compere: unknown key; did you mean "compare"?'),
        ("max_files = 1", 'max_files: unknown key; did you mean "batch.max_files"?'),
        ('bucket = "b"', 'bucket: unknown key; write it into "destination" as s3://bucket/prefix'),
        ("batch.x = 1", "batch.x: unknown key; allowed: max_files, max_bytes"),
        (
            'compare = "Sha256sum"',
            'compare: "Sha256sum" is not allowed; did you mean "sha256"? '
            'allowed: "sha256", "size", "mtime"',
        ),
        ("compare = 5", 'compare: found a whole number; allowed: "sha256", "size", "mtime"'),
        ("accelerate = 1", 'accelerate: 1 is not allowed; allowed: "auto", true, false'),
        ("requester_pays = 1", "requester_pays: found a whole number; allowed: true or false"),
        ("max_concurrency = 2.0", "max_concurrency: found a number; allowed: a whole number from"),
        ("max_concurrency = 257", "max_concurrency: 257 is not allowed; allowed: a whole number"),
        ("settle = -1", "settle: -1 is not allowed; allowed: a number, at least 0"),
        ("settle = nan", "settle: found an infinite number or none; allowed: a number, at least"),
        ("profile = 2020-01-01", "profile: found a date or time; allowed: name of a profile"),
        ('batch.max_bytes = "1023KiB"', 'batch.max_bytes: "1023KiB" is not allowed; allowed:'),
        ('max_bandwidth = "fast"', 'max_bandwidth: "fast" is not allowed; allowed: bytes per'),
        ('max_bandwidth = "0MiB"', 'max_bandwidth: "0MiB" is not allowed; allowed: bytes per'),
        ('max_bandwidth = "8:00 1MiB"', "max_bandwidth: "),
        ('max_bandwidth = "19:00 off, 08:00 1MiB"', "max_bandwidth: "),
        ('max_bandwidth = "08:00 1MiB 19:00 off"', "max_bandwidth: "),
        ("include = []", "include: found an empty list; allowed: a list of patterns, not empty"),
        ('include = "*"', "include: found text; allowed: a list of patterns"),
        ('exclude = ["/data/x"]', 'exclude[0]: "/data/x": is absolute'),
        ("publish = true", "publish: true is not allowed; allowed: a folder relative"),
        ('publish = "../../x"', "publish: leaves the bucket"),
        ('endpoint_url = "HUSH"', "endpoint_url: is not a http:// or https:// address"),
        ('endpoint_url = "http://[HUSH"', "endpoint_url: is not a http:// or https:// address"),
        ("expected_bucket_owner = 123456789012", "expected_bucket_owner: found a whole number;"),
        ('expected_bucket_owner = "12"', 'expected_bucket_owner: "12" is not allowed; allowed: 12'),
        ('expected_bucket_owner = "123456789012\\n"', "expected_bucket_owner: "),
        ('sse_kms_key_id = "k"', "sse_kms_key_id: only with sse"),
        ('sse = "AES256"\nsse_kms_key_id = "k"', "sse_kms_key_id: only with sse"),
        ('accelerate = true\nendpoint_url = "http://h"', "accelerate: cannot be true together"),
        ('accelerate = true\naddressing_style = "path"', "accelerate: cannot be true together"),
        ('verify.sample = "3/2"', "verify.sample: a sample is"),
        ('hca.atlas = "gut-v1"', 'hca: only with preset = "hca"'),
        ("ifcb.all_files = true", 'ifcb: only with preset = "ifcb"'),
        ('preset = "ifcb"\nifcb.skip_folders = "beads"', "ifcb.skip_folders: found text"),
        ('preset = "hca"', "hca.atlas: missing"),
        ('preset = "hca"\nhca.atlas = "gat-v1"', "hca.atlas: Unknown atlas: gat-v1; did you mean"),
        ('preset = "hca"\nhca = {atlas = "gut-v1", bucket = "B"}', 'hca.bucket: "B" is not'),
        ('preset = "hca"\nhca.folder = "x"', 'hca.folder: "x" is not allowed'),
        ('results = "s3://b/x"', "results: is an S3 address"),
        ('results = "{x}"', "results: holds"),
        ("\n".join(f'tags.a{n} = "x"' for n in range(11)), "tags: found a table of 11; allowed:"),
        (f"tags.a = '{'x' * 257}'", "tags.a: "),
    ],
)
def test_each_mistake(problem, settings, expected):
    found = problem(settings)
    assert found.startswith(expected)
    assert "HUSH" not in found


@pytest.mark.parametrize(
    "key", ["aws_access_key_id", "aws_secret_access_key", "secret_key", "token", "Password"]
)
def test_credentials_are_refused_and_not_shown(problem, key):
    assert "credentials come only from the AWS chain" in (found := problem(f'{key} = "HUSH"'))
    assert "HUSH" not in found


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ('destination = "s3://bucket"', "source: missing"),
        ('source = "/d"', "destination: missing"),
        ('source = "/d"\ndestination = "/e"', "destination: source and destination are both fold"),
        ('source = "s3://abc"\ndestination = "s3://abc"', "destination: source and destination ar"),
        ('source = "/d"\ndestination = "gs://b/x"', "destination: gs:// is not supported"),
        ('source = ""\ndestination = "s3://abc"', 'source: "" is not allowed; allowed: a folder'),
    ],
)
def test_places(problem, place, expected):
    assert problem("", place=place).startswith(expected)


def test_a_problem_is_named_where_its_value_comes_from(problems):
    text = f'[defaults]\nexclude = ["a["]\n[transfers.a]\n{PLACE}[transfers.b]\n{PLACE}'
    assert [line.split(": ")[:2] for line in problems(text)] == [["c.toml", "defaults.exclude[0]"]]
    good = f"[transfers.a]\n{PLACE}"
    overrides = {"compere": 1, "exclude": ["a["], "verify": {"depth": 1}, "settle": -1}
    assert [line.split(": ")[:2] for line in problems(good, overrides=overrides)] == [
        ["command line", "compere"],
        ["command line", "verify.depth"],
        ["command line", "settle"],
        ["command line", "exclude[0]"],
    ]


def test_unselected_transfers_are_checked(problems):
    text = f'[transfers.a]\n{PLACE}[transfers.b]\nsource = "/d"'
    assert problems(text, transfers=["a"])[0].startswith("c.toml: transfers.b.destination: missing")


def test_unknown_transfer(problems):
    (found,) = problems(f"[transfers.atlas]\n{PLACE}", transfers=["atlsa"])
    assert found == 'c.toml: no transfer "atlsa"; did you mean "atlas"? configured: atlas'


def test_hca_in_defaults_for_nobody(problems):
    (found,) = problems(f'[defaults]\nhca.atlas = "gut-v1"\n[transfers.t]\n{PLACE}')
    assert found.startswith('c.toml: defaults.hca: only with preset "hca"')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "c.toml: transfers: no transfers; add a section [transfers.NAME]"),
        ("[transfers]", "c.toml: transfers: no transfers"),
        ("transfers = 3", "c.toml: transfers: found a whole number"),
        ('[transfers]\na = "s3://b"', "c.toml: transfers.a: found text"),
        ("[transfer.a]", 'c.toml: transfer: unknown key; did you mean "transfers"?'),
        ("Settle = 1", "c.toml: Settle: unknown key here; put it into [defaults] or [transfers.NA"),
        ("prefix = 1", 'c.toml: prefix: unknown key; write it into "destination" as s3://bucket/'),
        ("a = " + "[" * 5_000, "c.toml: is nested too deeply"),
        ("a = " + "9" * 5_000, "c.toml: cannot be read: Exceeds the limit"),
        ("a = \n", "c.toml: not valid TOML: Invalid value (at line 1, column 5)"),
    ],
)
def test_unusable_files(problems, text, expected):
    assert problems(text, transfers=["a"])[0].startswith(expected)


def test_unreadable_files(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe9'")
    for name, expected in (
        ("none.toml", "no such file"),
        (".", "cannot be read: "),
        ("latin.toml", "byte 5 is not UTF-8; save the file as UTF-8"),
    ):
        with pytest.raises(ConfigError, match=expected):
            read.load(tmp_path / name)
