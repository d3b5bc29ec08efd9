"""Several datasets in one transfer, as sequencing runs are: each on its own, in their order."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from support.objects import keys
from support.proxy import Proxy
from support.server import S3Server
from support.workflow import Finished, Workflow, is_manifest

INFO = '<RunInfo><Run Id="{name}" Number="1"><Instrument>A01295</Instrument></Run></RunInfo>'
SHEET = "[Header]\nFile,1\n[Data]\nSample_ID,Index\n{name}_assay,AC\n"
FILES = ("RunInfo.xml", "SampleSheet.csv", "Data/L001.cbcl", "RTAComplete.txt", "CopyComplete.txt")
ONE, TWO, THREE = (f"24102{i}_A01295_043{i}_BHK3NFDRX{i}" for i in (1, 2, 3))


class Core(Workflow):
    """A sequencing core with monitored folders ``A`` and ``B``."""

    def run_folder(self, name: str, folder: str = "A", leave_out: tuple[str, ...] = ()) -> Path:
        texts = {"RunInfo.xml": INFO, "SampleSheet.csv": SHEET}
        for path in FILES:
            if path not in leave_out:
                target = self.folder / folder / name / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(texts.get(path, f"{folder} {path}").format(name=name))
        return self.folder / folder / name

    def ship(self, code: int = 0) -> Finished:
        return self.run(code=code)

    def set_up(self, bucket: str, **settings: object) -> None:
        folders = [str(self.folder / name) for name in ("A", "B")]
        for folder in folders:
            Path(folder).mkdir()
        self.configure(
            runs={
                "preset": "illumina",
                "source": folders,
                "destination": f"s3://{bucket}/runs",
                **settings,
            }
        )


@pytest.fixture
def core(proxy: Proxy, tmp_path: Path) -> Core:
    return Core(tmp_path, proxy)


def data(run: Finished) -> list[str]:
    """The keys of data in the order in which they were written."""
    return [r.key for r in run.requests if r.op == "PutObject" and not is_manifest(r.key)]


def test_each_run_in_its_order_and_on_its_own(core: Core, bucket: str, s3: S3Server) -> None:
    core.set_up(bucket)
    for name in (ONE, TWO):
        core.run_folder(name)
    core.run_folder(THREE, leave_out=("CopyComplete.txt",))
    unreadable = core.folder / "A" / TWO / "Data" / "L001.cbcl"
    unreadable.unlink()
    unreadable.symlink_to("nowhere")

    first = core.ship(code=1)
    order = {
        name: [key.removeprefix(f"runs/{name}/") for key in data(first) if f"/{name}/" in key]
        for name in (ONE, TWO)
    }
    assert set(order[ONE][:2]) == {FILES[0], FILES[1]}
    assert order[ONE][2:3] == [FILES[2]]
    assert set(order[ONE][3:]) == {FILES[3], FILES[4]}
    assert set(order[TWO]) == {FILES[0], FILES[1]}  # nobody is told that the run is complete
    assert any(f"FAILED {TWO}/Data/L001.cbcl: refused: broken" in line for line in first.lines)
    assert any(f"held back: copying: {FILES[3]} is there" in line for line in first.lines)
    assert not keys(s3, bucket, f"runs/{THREE}/")

    unreadable.unlink()
    unreadable.write_text("mended")
    (core.folder / "A" / THREE / "CopyComplete.txt").write_text("")
    second = core.ship()
    sent = Counter(key.split("/")[1] for key in data(second))
    assert sent == {TWO: 3, THREE: len(FILES)}
    manifests = core.folder / "results" / "runs" / "manifests"
    assert sorted(path.stem for path in manifests.iterdir()) == [ONE, TWO, THREE]

    third = core.ship()
    assert third.operations == Counter()  # proven runs rest
    assert third.lines[-1].endswith("; nothing to move")

    # Earlier versions moved the tables of runs at rest out of the way.
    results = core.folder / "results" / "runs"
    (results / "resting").mkdir()
    (results / "inventory" / ONE).rename(results / "resting" / ONE)
    fourth = core.ship()
    assert fourth.operations == Counter()
    assert fourth.lines[-1].endswith("; nothing to move")
    assert (results / "inventory" / ONE).is_dir() and not (results / "resting").exists()


def test_drift_is_repaired_when_a_run_is_looked_at_again(
    core: Core, bucket: str, s3: S3Server
) -> None:
    core.set_up(bucket, **{"illumina.recheck": 0})
    core.run_folder(ONE)
    core.run_folder(TWO)
    core.ship()
    s3.client().delete_object(Bucket=bucket, Key=f"runs/{ONE}/Data/L001.cbcl")
    (core.folder / "A" / TWO / "added.txt").write_text("late")
    assert sorted(data(core.ship())) == [f"runs/{ONE}/Data/L001.cbcl", f"runs/{TWO}/added.txt"]
    assert data(core.ship()) == []


def test_what_cannot_be_right_is_named(core: Core, bucket: str, s3: S3Server) -> None:
    core.set_up(bucket, **{"illumina.sample_regex": "_assay$"})
    core.run_folder(ONE)
    core.run_folder(ONE, "B")
    core.run_folder(TWO, leave_out=("SampleSheet.csv",))
    run = core.ship(code=1)
    text = "\n".join(run.lines)
    assert f"{core.folder}/B/{ONE}: would go to the same place as {core.folder}/A/{ONE}" in text
    assert f"{core.folder}/A/{TWO}: no sample sheet" in text
    assert len(keys(s3, bucket, f"runs/{ONE}/")) == len(FILES)
    body = s3.client().get_object(Bucket=bucket, Key=f"runs/{ONE}/Data/L001.cbcl")["Body"].read()
    assert body == b"A Data/L001.cbcl"

    shutil.rmtree(core.folder / "B")
    shutil.rmtree(core.folder / "A" / TWO)
    (core.folder / "B").mkdir()
    (core.folder / "A" / ONE).rename(core.folder / "archive")  # proven: it may go
    assert "is gone" not in "\n".join(core.ship(code=3).lines)


def test_a_run_that_goes_before_it_is_proven(core: Core, bucket: str) -> None:
    core.set_up(bucket)
    folder = core.run_folder(ONE)
    (folder / "Data" / "link").symlink_to("nowhere")
    (folder / "Data" / "L001.cbcl").chmod(0)
    core.run("plan", code=1)
    folder.rename(core.folder / "archive")
    gone = core.ship(code=1)
    assert any(f"FAILED {folder}: is gone before all of it was moved" in x for x in gone.lines)
