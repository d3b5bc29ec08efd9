"""Preset hca: where the files of an atlas belong."""

from __future__ import annotations

import pytest

from waybill.config import check
from waybill.presets import generic, hca
from waybill.presets.preset import PresetError


def test_every_atlas_has_a_network():
    assert len(hca.ATLAS_NETWORKS) == 28
    assert len(set(hca.ATLAS_NETWORKS.values())) == 18
    assert all(hca.network(atlas) == name for atlas, name in hca.ATLAS_NETWORKS.items())


def test_a_revision_belongs_where_its_generation_does():
    assert hca.network("gut-v1-1") == "gut"
    assert hca.network("optic-nerve-head-v1-12") == "eye"


@pytest.mark.parametrize(
    "atlas",
    ["gut", "gut-v3", "gut-v01", "gut-v1-0", "gut-v1-01", "gut-v1-1-1", "Gut-v1", "gut-v1\n", "x"],
)
def test_unknown_atlas(atlas):
    with pytest.raises(PresetError, match=f"^Unknown atlas: {atlas}") as caught:
        hca.network(atlas)
    assert caught.value.key == "hca.atlas"


def test_unknown_atlas_names_the_nearest():
    with pytest.raises(PresetError, match='did you mean "brain-v1"'):
        hca.network("brian-v1")


def test_defaults():
    assert hca.defaults({"hca": {"atlas": "msk-v1"}}) == {
        "destination": "s3://hca-atlas-tracker-data/musculoskeletal/msk-v1/source-datasets/",
        "include": ["/*.h5ad"],
        "exclude": ["*/"],
        "publish": "../manifests/",
        "batch": {"max_files": 1},
        "content_types": False,
        "region": "us-east-1",
    }


def test_environment_folder_and_bucket():
    table = {"atlas": "gut-v1", "environment": "dev", "folder": "integrated-objects"}
    found = hca.defaults({"hca": table})["destination"]
    assert found == "s3://hca-atlas-tracker-data-dev/gut/gut-v1/integrated-objects/"
    found = hca.defaults({"hca": table | {"bucket": "mirror"}})["destination"]
    assert found == "s3://mirror/gut/gut-v1/integrated-objects/"


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"endpoint_url": "http://127.0.0.1:9000"},
        {"destination": "s3://mine/x"},
        {"hca": {"atlas": "gut-v1", "bucket": "mirror"}},
    ],
)
def test_region_is_known_for_the_trackers_own_buckets_only(elsewhere):
    assert "region" not in hca.defaults({"hca": {"atlas": "gut-v1"}} | elsewhere)


@pytest.mark.parametrize(
    ("table", "key"),
    [({}, "hca.atlas"), ({"atlas": "gut-v1", "bucket": "No_Bucket"}, "hca.bucket")],
)
def test_mistakes_name_their_key(table, key):
    with pytest.raises(PresetError) as caught:
        hca.defaults({"hca": table})
    assert caught.value.key == key


def test_assumes_the_defaults_of_the_schema():
    table = check.default_settings("hca")["hca"]
    bare = {"atlas": "gut-v1"}
    assert hca.defaults({"hca": bare}) == hca.defaults({"hca": table | bare})


def test_generic_sets_nothing():
    assert generic.PRESET.defaults({"compare": "size"}) == {}
