"""Each command speaks the words of its user."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from doors import Door
from glaciers import Glacier
from sequencing import Core, sent

from support.ifcb import NEW, bin_files
from support.proxy import Proxy, access_denied
from waybill.cli.glacier.arguments import WORDS as GLACIER
from waybill.cli.hca.arguments import WORDS as HCA
from waybill.cli.pt5.arguments import WORDS as PT5
from waybill.cli.s3_upload.arguments import WORDS_OF_MONITOR, WORDS_OF_UPLOAD
from waybill.cli.words import translated
from waybill.config.check import schema

PACKAGE = Path(__file__).parents[2] / "scripts" / "waybill"
NOTHING = "No sequencing runs requiring upload found. Exiting now."


def test_D7_a_monitor_without_runs_says_so_in_the_words_of_the_seed(core: Core) -> None:
    run = core.make_run("run_1")
    core.configure(core.section("A"), max_cores=1)
    assert NOTHING not in core.monitor("--dry_run").out
    assert NOTHING not in core.monitor().out
    idle = core.monitor()
    assert idle.requests == []
    assert f"INFO: {NOTHING}" in idle.out
    assert f"INFO: {NOTHING}" in core.monitor("--dry_run").out
    assert NOTHING in core.log()
    (run / "SampleSheet.csv").unlink()
    core.make_run("run_2", without=("RTAComplete.txt", "CopyComplete.txt"))
    assert f"INFO: {NOTHING}" in core.monitor().out, "one that is not finished needs no upload"


def test_D7_a_switch_against_manifests(core: Core) -> None:
    run = core.make_run("run_1")
    said = core.upload(
        "--local_path", str(run), "--bucket", core.bucket, "--no_manifest", "--cores", "1"
    )
    assert len(sent(said)) == 5
    assert "Manifest" not in said.out
    core.configure(core.section("A", to="to"), max_cores=1, manifests=False)
    assert len(sent(core.monitor())) == 5
    assert core.state("run_1")["completed"] is True
    assert core.keys("manifest") == []
    assert NOTHING in core.monitor().out
    core.configure(core.section("A", to="to"), max_cores=1)
    core.grow_old(hours=25)
    said = core.monitor()
    assert sent(said) == []
    assert len(core.keys("^to/manifests/")) == 1, "published once they are wanted"
    core.upload("--local-path", str(run), "--bucket", core.bucket, "--no-manifest", "--cores", "1")


def test_D7_messages_name_the_run_and_the_place(core: Core) -> None:
    run, other = core.make_run("run_1"), core.make_run("run_1", folder="B")
    core.make_run("run_2")
    core.proxy.fault(access_denied(), op="PutObject", key="*/Data/L001.cbcl")
    core.configure(
        core.section("A", to="one"), core.section("B", to="two"),
        core.section("A", to="three"), max_cores=1,
    )  # fmt: skip
    said = core.monitor(code=1)
    for line in (
        f"ERROR: FAILED {run}/Data/L001.cbcl: s3://{core.bucket}/one/run_1/Data/L001.cbcl: ",
        f"ERROR: FAILED {other}/Data/L001.cbcl: s3://{core.bucket}/two/run_1/Data/L001.cbcl: ",
        f"ERROR: FAILED run_2/Data/L001.cbcl: s3://{core.bucket}/one/run_2/Data/L001.cbcl: ",
        f"WARNING: {run}: goes 2 ways: s3://{core.bucket}/one/, s3://{core.bucket}/three/",
    ):
        assert line in said.all, f"{line}\n{said.all}"
    for section in ("one", "two", "three"):  # the name of a transfer that only this command knows
        assert f"{core.bucket}-{section}" not in re.sub(r"\S*/waybill/\S*", "", said.all)


def test_D7_sync_from_s3_says_how_to_replace_a_file(glacier: Glacier) -> None:
    glacier.configure()
    path = "landsat/134_Arsuk/scene.tif"
    glacier.put({path: b"there"})
    glacier.place(path, b"another one here")
    said = glacier.sync("landsat", code=1)
    assert "overwrite" not in said.all.replace("--force-overwrite", "")
    assert "134_Arsuk/scene.tif: size differs" in said.err
    assert "not overwritten without --force-overwrite" in said.err
    assert glacier.files() == {path: b"another one here"}
    glacier.sync("landsat", "--force-overwrite")
    assert glacier.files() == {path: b"there"}


def test_D7_doors_name_their_own_options(door: Door, tmp_path: Path, proxy: Proxy) -> None:
    (door.data / "a.h5ad").symlink_to("nowhere")
    said = door.run("gut-v1", "--yes", code=1)
    assert "broken symbolic link: No such file or directory; mend or exclude it" in said.err
    assert "symlinks" not in said.all

    from cytobots import Cytobot

    user = Cytobot(door.home, tmp_path / "bins", door.bucket, proxy)
    user.data.mkdir()
    user.place(bin_files(NEW))
    place = ["--source", str(user.data), "--bucket", door.bucket, "--settle", "9999"]
    held = user.upload(*place)
    assert "modified too recently (--settle)" in held.err


def messages() -> list[str]:
    """The texts of the package that workflow and doors share, as they stand in the code."""
    rooms = ("move", "inventory", "presets", "s3", "stages", "results", "verify")
    found = []
    for room in rooms:
        for path in sorted((PACKAGE / room).rglob("*.py")):
            if path.is_relative_to(PACKAGE / "s3" / "probe") or path.stem.startswith("permissions"):
                continue  # of pages, and of a command with settings of its own
            tree = ast.parse(path.read_text(encoding="utf-8"))
            documents = {
                id(node.body[0].value)
                for node in ast.walk(tree)
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
                and node.body
                and isinstance(node.body[0], ast.Expr)
            }
            described = {  # what the reference page says of a setting
                id(part)
                for node in ast.walk(tree)
                if isinstance(node, ast.Assign | ast.AnnAssign)
                and re.fullmatch(r"_SETTINGS|_DESCRIPTION|PRESET", ast.unparse(_target(node)))
                for part in ast.walk(node)
            }
            found += [
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in documents | described
            ]
    return found


def _target(node: ast.Assign | ast.AnnAssign) -> ast.expr:
    return node.targets[0] if isinstance(node, ast.Assign) else node.target


KEYS = sorted(schema()["$defs"]["settings"]["properties"])
# How a message names a setting: as TOML, or in backticks.
NAMED = re.compile(rf"\b(?:{'|'.join(KEYS)}) = [\"\[{{tf]|`(?:{'|'.join(KEYS)})`|set symlinks")

# What only a user meets who has set that.
NOT_MET = {'symbolic link (symlinks = "', 'engine = "'}
NEVER_FORCED = {'; forced (overwrite = "always")'}  # by sync-from-s3
# The settings that the user of a command has by the same name, and those that it cannot meet.
UPLOADS = {"overwrite", "allow_git_worktree"}
OWN = {
    "hca": {*UPLOADS, "last"},
    "pt5": {*UPLOADS, "last"},
    "monitor": UPLOADS,
    "upload": UPLOADS,
    "glacier": {"endpoint_url", "region", "profile", "last"},
}


@pytest.mark.parametrize(
    ("door", "words"),
    [
        ("hca", HCA), ("pt5", PT5), ("monitor", WORDS_OF_MONITOR), ("upload", WORDS_OF_UPLOAD),
        ("glacier", GLACIER),
    ],
)  # fmt: skip
def test_D7_no_message_names_a_setting_that_the_user_does_not_have(
    door: str, words: dict[str, str]
) -> None:
    not_met = NOT_MET | (NEVER_FORCED if door == "glacier" else set())
    texts = [text for text in messages() if text not in not_met]
    assert any(NAMED.search(text) for text in texts)
    left = {}
    for text in texts:
        shown = translated(text, words)
        for match in NAMED.finditer(shown):
            if not any(key in match[0] for key in OWN[door]):
                left[shown] = match[0]
    assert left == {}
