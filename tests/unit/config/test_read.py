"""The configuration: what it means, and in which order it wins."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from waybill.config import check, read
from waybill.model.bandwidth import Bandwidth
from waybill.model.transfer import Transfer
from waybill.presets import registry
from waybill.system import resources

PLACE = 'source = "/data"\ndestination = "s3://bucket/prefix"\n'


@pytest.fixture
def one(load):
    """Load one transfer ``t`` with the settings given, over a source and a destination."""
    return lambda settings="", **options: load(f"[transfers.t]\n{PLACE}{settings}", **options)["t"]


def test_smallest(one, tmp_path):
    transfer = one()
    assert transfer.name == "t"
    assert transfer.direction == "upload"
    assert (transfer.source, transfer.folder) == ("/data", Path("/data"))
    assert transfer.destination == transfer.url == "s3://bucket/prefix/"
    assert (transfer.bucket, transfer.prefix) == ("bucket", "prefix/")
    assert transfer.results == Path("results/t")
    assert transfer.publish_prefix == "prefix/manifests/"
    assert transfer.selection.matches("a/b")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ('preset = "generic"', {"preset": "generic"}),
        ('include = ["*.h5"]', {"include": ("*.h5",)}),
        ('exclude = ["a/"]', {"exclude": ("a/",)}),
        ('compare = "mtime"', {"compare": "mtime"}),
        ('symlinks = "error"', {"symlinks": "error"}),
        ("settle = 1.5", {"settle": 1.5}),
        ("batch.max_files = 1", {"max_files": 1, "max_bytes": 16 << 30}),
        ('batch = {max_bytes = "2GB"}', {"max_files": 25_000, "max_bytes": 2 * 10**9}),
        ("batch.max_bytes = 1048576", {"max_bytes": 1 << 20}),
        ('results = "/scratch/out"', {"results": Path("/scratch/out/t")}),
        ('profile = "lab"', {"profile": "lab"}),
        ('region = "eu-central-1"', {"region": "eu-central-1"}),
        ('endpoint_url = "http://127.0.0.1:9000"', {"endpoint_url": "http://127.0.0.1:9000"}),
        ('addressing_style = "path"', {"addressing_style": "path"}),
        (
            'request_checksum_calculation = "when_required"',
            {"request_checksum_calculation": "when_required"},
        ),
        ("accelerate = true", {"accelerate": True}),
        ("accelerate = false", {"accelerate": False}),
        ('storage_class = "GLACIER_IR"', {"storage_class": "GLACIER_IR"}),
        ('sse = "AES256"', {"sse": "AES256"}),
        ('sse = "aws:kms"\nsse_kms_key_id = "k"', {"sse": "aws:kms", "sse_kms_key_id": "k"}),
        ('tags = {project = "x"}', {"tags": {"project": "x"}}),
        ('expected_bucket_owner = "123456789012"', {"expected_bucket_owner": "123456789012"}),
        ("requester_pays = true", {"requester_pays": True}),
        ('overwrite = "never"', {"overwrite": "never"}),
        ("max_concurrency = 256", {"max_concurrency": 256}),
        ('max_bandwidth = "50MiB"', {"max_bandwidth": Bandwidth(((0, 50 << 20),))}),
        ("max_bandwidth = 5", {"max_bandwidth": Bandwidth(((0, 5),))}),
        (
            'max_bandwidth = "08:00 10MiB, 19:00 off"',
            {"max_bandwidth": Bandwidth(((480, 10 << 20), (1140, None)))},
        ),
        ('publish = "../manifests"', {"publish_prefix": "manifests/"}),
        ("publish = false", {"publish_prefix": None}),
        ('verify = {depth = "content", sample = "1/7"}', {"verify_depth": "content"}),
        ('verify.sample = "2/7"', {"verify_sample": (2, 7)}),
    ],
)
def test_each_key(one, settings, expected):
    transfer = one(settings)
    assert {key: getattr(transfer, key) for key in expected} == expected


def test_hca(load):
    transfer = load('[transfers.g]\npreset = "hca"\nsource = "/d"\nhca.atlas = "gut-v1-1"')["g"]
    assert transfer.url == "s3://hca-atlas-tracker-data/gut/gut-v1-1/source-datasets/"
    assert transfer.publish_prefix == "gut/gut-v1-1/manifests/"
    assert transfer.include == ("/*.h5ad",)
    assert transfer.region == "us-east-1"
    assert transfer.preset_settings == {
        "atlas": "gut-v1-1",
        "folder": "source-datasets",
        "environment": "prod",
        "hdf5_only": False,
    }


def test_each_layer_wins_over_those_below(load):
    text = """
        [defaults]
        preset = "hca"
        hca.environment = "dev"
        compare = "size"
        symlinks = "skip"
        batch.max_files = 7
        tags = {a = "1", b = "1"}
        region = "eu-west-1"
        [transfers.t]
        source = "/d"
        hca.atlas = "gut-v1"
        symlinks = "error"
        tags = {b = "2"}
        batch.max_bytes = "2MiB"
        include = ["/a*.h5ad"]
        [transfers.plain]
        preset = "generic"
        source = "/d"
        destination = "s3://bucket"
    """
    overrides = {"settle": 9, "tags": {"c": "3"}, "source": Path("/e"), "region": None}
    found = load(text, overrides=overrides, transfers=["t"])
    assert list(found) == ["t"]
    transfer = found["t"]
    assert transfer.bucket == "hca-atlas-tracker-data-dev"
    assert (transfer.compare, transfer.symlinks, transfer.settle) == ("size", "error", 9)
    assert (transfer.max_files, transfer.max_bytes) == (7, 2 << 20)
    assert transfer.tags == {"a": "1", "b": "2", "c": "3"}
    assert transfer.include == ("/a*.h5ad",)
    assert (transfer.region, transfer.source) == ("eu-west-1", "/e")
    plain = load(text)["plain"]
    assert plain.preset_settings == {} and plain.include == ("**",) and plain.region == "eu-west-1"


def test_order_of_the_file_and_choice(load):
    text = f"[transfers.b]\n{PLACE}[transfers.a]\n{PLACE.replace('prefix', 'other')}"
    assert list(load(text)) == list(load(text, transfers=[])) == ["b", "a"]
    assert list(load(text, transfers=["a", "b"])) == ["b", "a"]
    assert list(load(text, transfers=["a"])) == ["a"]


def test_schema_and_transfer_have_the_same_defaults(one):
    bare = Transfer(
        **{
            field.name: getattr(one(), field.name)
            for field in dataclasses.fields(Transfer)
            if field.default is field.default_factory is dataclasses.MISSING
        }
    )
    assert bare == one()


def test_schema_is_closed_and_complete():
    schema = check.schema()
    Draft202012Validator.check_schema(schema)
    optional = {"source", "destination", "atlas", "bucket", "max_bandwidth", "profile", "region"}
    optional |= {"endpoint_url", "expected_bucket_owner", "storage_class", "sse", "sse_kms_key_id"}
    optional |= {"satellite", "data_folder", "complete", "sample_regex", "against", "uploads"}
    optional |= {"addressing_style", "acl"}
    optional |= {"slack_log_webhook", "slack_alert_webhook", "webhook", "email_from"}
    optional |= {"smtp_host", "smtp_port", "smtp_user", "smtp_password"}

    def walk(rules):
        assert rules["additionalProperties"] is False
        for key, below in rules["properties"].items():
            assert below["description"].endswith("."), key
            if "properties" in below:
                walk(below)
                continue
            assert ("default" in below) != (key in optional), key
            kinds = below.get("type", ())
            if "integer" in kinds or "number" in kinds:
                assert below["x-unit"], key

    walk(schema["$defs"]["settings"])
    assert all(schema["properties"][key]["description"] for key in ("defaults", "transfers"))
    assert check.properties()["preset"]["enum"] == list(registry.built_in())


def test_a_source_in_s3_makes_a_download(load):
    transfer = load('[transfers.t]\nsource = "s3://bucket/p"\ndestination = "here"')["t"]
    assert transfer.direction == "download"
    assert transfer.source == transfer.url == "s3://bucket/p/"
    assert transfer.destination == str(transfer.folder) == str(Path("here").absolute())
    assert not transfer.publishes


def test_import_stays_cheap():
    code = (
        "import sys, waybill.config.read; print(*{'yaml', 'jsonschema', 'boto3'} & {*sys.modules})"
    )
    folder = Path(read.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, check=True)
    assert done.stdout.strip() == b""


def test_project_root_holds_the_rules():
    assert (resources.project_root() / "workflow" / "schemas" / "config.schema.yaml").is_file()
