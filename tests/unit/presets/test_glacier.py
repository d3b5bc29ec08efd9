"""Preset glacier: where a satellite's files are, and which of them belong to a region."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill.config import check, read
from waybill.model.errors import ConfigError
from waybill.model.selection import Selection
from waybill.model.transfer import Transfer
from waybill.presets import glacier
from waybill.presets.preset import PresetError

S2 = "S2A_MSIL2A_20240704T142751_N0510_R139.tif"
TILE = "S2A_MSIL2A_20240101T000000_N0500_R001_T22WEB_20240101T000000_B08.tif"
LANDSAT = "20240704142514_LC80030172024186LGN00_LC08_L1TP_003017_20240704_20240712_02_T1_ortho.tif"

FIRST = (
    f"{{region}}/clipped/{S2}",
    "{region}/metadata/individual_csv/S2A.csv",
    "{region}/metadata/combined_csv/{region}.csv",
    "{region}/template/{region}.tif",
    f"{{region}}/{LANDSAT}",
    "_reference/{region}.tif",
    "_reference/{region}_stac_query_results.csv",
)
SECOND = (
    f"clipped/{{region}}/{S2}",
    "metadata/individual_csv/{region}/S2A.csv",
    "metadata/combined_csv/{region}.csv",
    "metadata/{region}.csv",
    "template/{region}.tif",
)
TILES_OF_A_REGION = f"{{region}}/download/2024/{TILE}"
TILES_OF_NONE = f"download/2024/{TILE}"

REGIONS = ["134_Arsuk", "138_SermiitsiaqInTasermiut", "191_Hagen_Brae", "001_alison"]


def paths(region: str) -> list[str]:
    return [path.format(region=region) for path in (*FIRST, *SECOND, TILES_OF_A_REGION)]


def selection(**table: object) -> Selection:
    settings = {"glacier": {"satellite": "sentinel2", "data_folder": "/d", **table}}
    found = glacier.defaults(settings)
    return Selection(found["include"], found["exclude"])


@pytest.mark.parametrize(
    "regions",
    [
        ["134_Arsuk"], ["134*", "191_*"], ["13*"], ["1[39]*"], ["*_Arsuk"], ["*Arsuk"],
        ["*4_Arsuk"],
        ["???_Arsuk"], ["*_Ha*"], ["*"], ["*[k]"], ["[0-2]9*"], ["*?_A*"], ["1*"], ["*_a*"],
    ],
)  # fmt: skip
def test_a_region_has_its_files_in_both_layouts(regions):
    chosen = selection(regions=regions)
    names = [name for name in REGIONS if any(fnmatchcase(name, r) for r in regions)]
    assert names, "the pattern shows nothing"
    everything = [path for name in REGIONS for path in paths(name)]
    taken = [path for path in everything if chosen.matches(path)]
    assert taken == [path for name in names for path in paths(name)]
    assert not chosen.matches(TILES_OF_NONE)
    assert not chosen.matches("README.md")


NUMBERED = st.from_regex(r"[0-9]{3}_[A-Za-z]{1,4}(_[A-Z])?", fullmatch=True)


@given(region=NUMBERED, pattern=st.text("01*?_ABab", min_size=1, max_size=6))
def test_what_a_pattern_matches_is_told_by_the_name_alone(region, pattern):
    try:
        chosen = Selection(glacier.region_patterns(pattern))
    except ValueError:
        assert "**" in pattern or fnmatchcase("_reference", pattern)
        return
    matching = fnmatchcase(region, pattern)
    for path in paths(region):
        assert chosen.matches(path) is matching, path


@pytest.mark.parametrize(
    "region",
    ["", ".", "..", "a/b", "1**", "clipped", "_reference", "[a-z]*", "[!0]*", "m*", "[", "[9-1]"],
)
def test_what_cannot_be_a_region(region):
    with pytest.raises(PresetError) as caught:
        selection(regions=["134_Arsuk", region])
    assert caught.value.key == "glacier.regions"
    assert f'"{region}"' in str(caught.value)


def test_raw_tiles_are_left_out_of_both_layouts():
    chosen = selection(exclude_downloads=True)
    for name in REGIONS:
        assert not chosen.matches(TILES_OF_A_REGION.format(region=name))
        for path in (*FIRST, *SECOND):
            assert chosen.matches(path.format(region=name))
    assert not chosen.matches(TILES_OF_NONE)
    assert chosen.matches("134_Arsuk/clipped/download")
    assert chosen.excludes_folder("download")
    assert chosen.excludes_folder("134_Arsuk/download")
    one = selection(regions=["134_Arsuk"], exclude_downloads=True)
    assert not one.matches(TILES_OF_A_REGION.format(region="134_Arsuk"))
    assert selection().matches(TILES_OF_NONE)


def test_defaults():
    table = {"satellite": "landsat", "data_folder": "~/glacier"}
    assert glacier.defaults({"glacier": table}) == {
        "source": "s3://greenland-glacier-data/1_download_merge_and_clip/landsat/",
        "destination": "~/glacier/1_download_merge_and_clip/landsat",
        "include": ["**"],
        "exclude": [],
        "compare": "size",
        "overwrite": "never",
        "publish": "../manifests/",
        "region": "us-west-2",
    }


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"endpoint_url": "http://127.0.0.1:9000"},
        {"source": "s3://mine/x"},
        {"destination": "s3://mine/x"},
        {"glacier": {"satellite": "landsat", "data_folder": "/d", "bucket": "mirror"}},
    ],
)
def test_the_aws_region_is_known_for_the_projects_own_bucket_only(elsewhere):
    own = {"glacier": {"satellite": "landsat", "data_folder": "/d"}}
    assert glacier.defaults(own)["region"] == "us-west-2"
    assert "region" not in glacier.defaults(own | elsewhere)


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"data_folder": "/d"}, "glacier.satellite"),
        ({"satellite": "landsat"}, "glacier.data_folder"),
        ({"satellite": "landsat", "bucket": "No_Bucket"}, "glacier.bucket"),
        ({"satellite": "landsat", "base_path": "/abs"}, "glacier.base_path"),
        ({"satellite": "landsat", "base_path": "a/../b"}, "glacier.base_path"),
    ],
)
def test_mistakes_name_their_key(table, key):
    with pytest.raises(PresetError) as caught:
        glacier.defaults({"glacier": table})
    assert caught.value.key == key


def test_assumes_the_defaults_of_the_schema():
    table = check.default_settings("glacier")["glacier"]
    bare = {"satellite": "sentinel2", "data_folder": "/d"}
    assert glacier.defaults({"glacier": bare}) == glacier.defaults({"glacier": table | bare})


def load(tmp_path: Path, text: str) -> Transfer:
    file = tmp_path / "c.toml"
    file.write_text(f'[transfers.t]\npreset = "glacier"\nglacier.satellite = "sentinel2"\n{text}')
    return read.load(file)["t"]


PLACE = "1_download_merge_and_clip/sentinel2"


def test_both_directions(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/user")
    down = load(tmp_path, 'glacier.data_folder = "~/data"\nglacier.base_path = "a$b/c"')
    assert down.direction == "download"
    assert down.source == "s3://greenland-glacier-data/a$b/c/sentinel2/"
    assert down.destination == "/home/user/data/a$b/c/sentinel2"
    assert (down.compare, down.overwrite) == ("size", "never")
    assert down.preset_settings["regions"] == []
    assert load(tmp_path, 'destination = "/x"').destination == "/x"

    for text in (
        'source = "/d/x"',
        f'destination = "s3://greenland-glacier-data/{PLACE}"\nglacier.data_folder = "/d"',
    ):
        up = load(tmp_path, text)
        assert up.direction == "upload"
        assert up.destination == f"s3://greenland-glacier-data/{PLACE}/"
        assert up.publish_prefix == "1_download_merge_and_clip/manifests/"
    assert up.folder == Path("/d") / PLACE


def test_mistakes_of_a_configuration(tmp_path):
    for text, expected in (
        ("glacier.data_folder = 5", "glacier.data_folder: found a whole number"),
        ("", "glacier.data_folder: missing"),
        ('glacier.data_folder = "/d"\nglacier.regions = ["a/b"]', 'glacier.regions: "a/b" is no'),
        ('source = ["/a"]', "source: a list of folders is for"),
        ('hca.atlas = "gut-v1"\nglacier.data_folder = "/d"', 'hca: only with preset = "hca"'),
    ):
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, text)
        (problem,) = caught.value.problems
        assert problem.startswith(f"{tmp_path}/c.toml: transfers.t.{expected}")
    other = tmp_path / "other.toml"
    other.write_text(
        '[defaults]\nglacier.satellite = "landsat"\n'
        '[transfers.a]\nsource = "/d"\ndestination = "s3://abc"\n'
    )
    with pytest.raises(ConfigError, match=r"defaults\.glacier: only with preset"):
        read.load(other)


def test_the_example_is_a_configuration():
    file = Path(__file__).parents[3] / "config" / "glacier.toml"
    transfers = read.load(file)
    assert [t.direction for t in transfers.values()] == ["download"] * 2
    assert [t.bucket for t in transfers.values()] == ["greenland-glacier-data"] * 2
    for name, transfer in transfers.items():
        assert transfer.prefix == f"1_download_merge_and_clip/{name}/"
        assert transfer.selection.matches(f"191_Hagen_Brae/{LANDSAT}")
        assert not transfer.selection.matches(TILES_OF_A_REGION.format(region="134_Arsuk"))
