"""Messages about configurations and sequencing runs."""

from __future__ import annotations

import sys

from support.illumina import make_run, sheet
from support.provocations.world import (
    Capsys,
    World,
    provokes,
    said,
    simple,
)
from support.transfers import transfer_of
from waybill.cli.s3_upload import command as s3_upload
from waybill.cli.s3_upload import log as s3_upload_log
from waybill.config import read
from waybill.inventory.sides import of_upload
from waybill.model import regexes
from waybill.presets import registry
from waybill.presets.illumina import datasets, run_xml, sample_sheet
from waybill.results.layout import Layout
from waybill.results.state import State
from waybill.system import encoding

# Configuration

simple("settings-file", lambda w: said(lambda: read.load(w.folder / "no.toml")))
simple("unknown-key", lambda w: w.config_says("compere = 1"))
simple("wrong-value", lambda w: w.config_says('compare = "sha"'))
simple("pattern", lambda w: w.config_says('include = ["/data/[a"]'))
simple("bucket-and-prefix", lambda w: w.config_says('destination = "s3://a..b/p"'))
simple("path-in-settings", lambda w: w.config_says('source = "$WAYBILL_NOT_SET/x"'))
simple("address-of-service", lambda w: w.config_says('endpoint_url = "store"'))
simple("atlas", lambda w: w.config_says('preset = "hca"\nsource = "/d"\nhca.atlas = "nope"'))
simple("glacier", lambda w: w.config_says('preset = "glacier"\ndestination = "/d"'))


@provokes("preset")
def preset(w: World, _: Capsys) -> str:
    site = w.folder / "site"
    (site / "seis-1.dist-info").mkdir(parents=True)
    (site / "seis-1.dist-info" / "METADATA").write_text("Name: seis\nVersion: 1\n")
    (site / "seis-1.dist-info" / "entry_points.txt").write_text(
        "[waybill.presets]\nseis = no_such_module:PRESET\n"
    )
    w.patch.syspath_prepend(str(site))
    registry.published.cache_clear()
    try:
        return w.config_says('preset = "seis"\nsource = "/d"')
    finally:
        registry.published.cache_clear()


@provokes("locale")
def locale(w: World, _: Capsys) -> str:
    w.patch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    return encoding.mistaken()


# Sequencing runs


@provokes("slow-expression")
def slow_expression(w: World, _: Capsys) -> str:
    w.patch.setattr(regexes, "SECONDS", 0.05)
    return said(lambda: regexes.searcher("(a+)+$")(40 * "a" + "b"), regexes.SlowRegexError)


@provokes("not-hdf5")
def not_hdf5(w: World, _: Capsys) -> str:
    w.file("atlas/a.h5ad", b"<html>gone</html>")
    settings = 'preset = "hca"\nhca.atlas = "gut-v1"\nhca.hdf5_only = true\n'
    config = w.file("hca.toml", f'[transfers.t]\nsource = "{w.folder}/atlas"\n{settings}'.encode())
    found = of_upload(read.load(config)["t"], Layout(w.folder / "results"), lambda _: [])
    return found.refused["a.h5ad"]


@provokes("sample-sheet")
def of_sample_sheet(w: World, _: Capsys) -> str:
    run = make_run(w.folder)
    (run / "SampleSheet.csv").write_text(sheet() + sheet())
    return said(lambda: sample_sheet.samples(run), sample_sheet.SheetError)


@provokes("run-files")
def run_files(w: World, _: Capsys) -> str:
    w.file("RunInfo.xml", b"")
    return said(lambda: run_xml.read_run_info(w.folder), run_xml.XmlError)


@provokes("run-place")
def run_place(w: World, _: Capsys) -> str:
    folders = (w.folder / "A", w.folder / "B")
    for folder in folders:
        folder.mkdir()
        make_run(folder)
    transfer = transfer_of(folders[0], "b", "runs/", preset="illumina", folders=folders)
    found = datasets.find(transfer, State(), mend=False)
    return "\n".join(failure.message for failure in found.failed)


@provokes("not-a-run")
def not_a_run(w: World, _: Capsys) -> str:
    return said(lambda: s3_upload._check(w.folder))


@provokes("log-folder")
def log_folder(w: World, _: Capsys) -> str:
    return said(lambda: s3_upload_log.prepare(w.file("plain") / "logs"))
