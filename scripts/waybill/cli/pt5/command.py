"""The command ``pt5-uploader``: the bins of an Imaging FlowCytobot to S3, without a question."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import botocore.exceptions as be

from waybill.cli import state_folder
from waybill.cli.arrivals import Arrivals, of_transfer
from waybill.cli.launch import Ended
from waybill.cli.pt5 import place as pt5_place
from waybill.cli.pt5 import screen as pt5_screen
from waybill.cli.pt5.arguments import PROGRAM, WORDS, Wish, parse
from waybill.cli.pt5.place import NAME, Place
from waybill.cli.pt5.screen import Colours
from waybill.cli.session import Session, hold_results
from waybill.cli.terminal import Screen, guarded, printable
from waybill.model.errors import EXIT_EMPTY, EXIT_FAILED, EXIT_OK
from waybill.model.escaping import unescape
from waybill.model.transfer import Transfer
from waybill.model.verbs import UPLOAD
from waybill.presets.ifcb.settings import NO_BIN
from waybill.results import journal, outcome, state
from waybill.results.batch_tables import ASIDE_COLUMNS
from waybill.results.forecast import LOOKING, Forecast
from waybill.results.layout import Layout
from waybill.results.marker import Proof
from waybill.results.published import last_published, published_key
from waybill.system.tsv import rows


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    return guarded(PROGRAM, lambda screen: _command(screen, arguments), WORDS)


def _command(screen: Screen, arguments: list[str]) -> int:
    wish = parse(arguments)
    # For the AWS chain, here and in the workflow.
    os.environ.update(pt5_place.read_env(os.environ))
    colours = Colours(screen, PROGRAM)
    if wish.validate:
        return validate(colours, wish)
    return Upload(screen, colours, wish, pt5_place.place(wish, os.environ)).run()


def validate(colours: Colours, wish: Wish) -> int:
    """Check that S3 accepts the credentials and, if a bucket is named, that it can be listed.
    Returns the exit code. Raises WaybillError."""
    from waybill.s3.bucket import Bucket
    from waybill.s3.client import make_client
    from waybill.s3.errors import DENIED, error_code, explain
    from waybill.s3.evidence import understood

    to = pt5_place.target(wish, os.environ)
    at = Place(Path.cwd(), "", *(to or ("none-named", "")))
    with tempfile.TemporaryDirectory(prefix="pt5-uploader-") as folder:
        file = Path(folder) / "config.toml"
        transfer = state_folder.configure(file, pt5_place.config_text(wish, at))[NAME]
    if to is not None:
        next(Bucket(transfer).list_prefix(), None)
        colours.good(f"AWS credentials are valid; {at.url} can be listed")
        return EXIT_OK
    try:
        understood(make_client(transfer).list_buckets)
    except be.ClientError as error:
        if error_code(error) not in DENIED:
            raise explain(error, transfer, what="S3") from None
        colours.good("AWS credentials are valid; they may not list all buckets, so name one")
    except be.BotoCoreError as error:
        raise explain(error, transfer, what="S3") from None
    else:
        colours.good("AWS credentials are valid")
    return EXIT_OK


class Upload:
    """One command at work."""

    def __init__(self, screen: Screen, colours: Colours, wish: Wish, place: Place) -> None:
        self.screen, self.colours, self.wish, self.place = screen, colours, wish, place
        self._files: Arrivals | None = None

    def run(self) -> int:
        """Run the command; returns its exit code."""
        home = pt5_place.home_of(self.wish, self.place)
        if self.wish.dry_run:
            with borrowed(home) as copy:
                # Snakemake makes a folder in its cache.
                return self._dry(*self._session(copy, XDG_CACHE_HOME=str(copy / "cache")))
        return self._move(*self._session(home))

    def _session(self, home: Path, **extra: str) -> tuple[Session, Transfer]:
        layout = Layout(home / "results" / NAME)
        hold_results(layout)
        file, log = home / "config.toml", home / "snakemake.log"
        # If the last run is not finished, it is finished before all files are sent again.
        last = state_folder.configured(file).get(NAME)
        if self.wish.all_files and last and outcome.without_failures(last, layout).is_whole:
            state_folder.forget_proofs(layout)
        transfers = state_folder.configure(file, pt5_place.config_text(self.wish, self.place))
        verbose = self.wish.verbose and not self.wish.dry_run
        launch = state_folder.launch(
            self.screen, file, log, cores=self.wish.cores, verbose=verbose, debug=False, **extra
        )
        return Session(self.screen, launch, transfers), transfers[NAME]

    def _dry(self, session: Session, transfer: Transfer) -> int:
        ended, plans = session.plan()
        self._tell(session, ended)
        if ended.code == EXIT_FAILED and not ended.said:
            for line in session.launch.log.read_text(encoding="utf-8").splitlines():
                self.colours.problem(line)  # the log is gone in a moment
        if ended.signal or NAME not in plans:
            return ended.code or EXIT_FAILED
        plan = plans[NAME]
        self._tell_aside(session.layouts[NAME])
        if ended.code == EXIT_EMPTY:
            return self._empty()
        for move in plan.moves:
            self._name(transfer, move.path)
        if plan.found:
            size = pt5_screen.in_units(plan.size)
            count = f"{len(plan.moves)} file(s), {size}"
            same = f"; {len(plan.same)} up to date" if plan.same else ""
            self.colours.line(f"Dry run: would upload {count}, to {transfer.url}{same}")
        return ended.code

    def _move(self, session: Session, transfer: Transfer) -> int:
        layout = session.layouts[NAME]
        before = state.read(layout).run
        key_before = last_published(layout, NAME)
        begun = time.monotonic()

        forecast = Forecast([layout], UPLOAD.doing, since=time.time())

        def tick() -> None:
            self._look(layout, before)
            self.screen.progress(forecast.look())

        self.screen.progress(LOOKING)
        ended = session.launch.run("all", [NAME], tick)
        seconds = time.monotonic() - begun
        self.screen.clear()
        self._tell(session, ended)
        if state.read(layout).run == before:
            return ended.code or EXIT_FAILED
        self._tell_aside(layout)
        if ended.code == EXIT_EMPTY:
            return self._empty()
        self._look(layout, before)
        sent = list(_sent(layout))
        if self.wish.verbose:
            for proof in sent:
                self._name(transfer, proof.path)
        self._sum_up(sent, seconds)
        key = _published(layout)
        if key and key != key_before:
            self.colours.line(f"Manifest s3://{transfer.bucket}/{printable(key)}")
        seen = state.read(layout)
        if ended.code == EXIT_OK and seen.files:
            what = "All but what waits is" if seen.held else "All of it is"
            self.colours.good(f"{what} proven in {printable(transfer.url)}")
        return ended.code

    def _look(self, layout: Layout, before: str) -> None:
        """Read what jobs have written since the last call."""
        if self._files is None:
            found = of_transfer(layout, before)
            self._files = found[0] if found else None
        if self._files is not None:
            self._files.update()

    def _sum_up(self, sent: list[Proof], seconds: float) -> None:
        """Print the report of the seed about the files that were sent, then the other counts."""
        size = sum(proof.size for proof in sent)
        for line in pt5_screen.summary(len(sent), size, seconds):
            self.colours.line(line)
        run = self._files
        if run is None:
            return
        failed = len(run.failed())
        counts = {
            "Up To Date": run.count - len(sent),
            "Held Back": len(run.held),
            "Failed": failed,
            "Not Reached": len(run.paths() - run.held - run.uploaded().keys() - run.failed()),
        }
        for label, count in counts.items():
            if count > 0:
                self.colours.line(f"{label}: {count}")

    def _tell(self, session: Session, ended: Ended) -> None:
        for _, line in session.failed(ended):
            self.colours.problem(line)

    def _tell_aside(self, layout: Layout) -> None:
        """Print each reason why files are held back, and how many files are skipped for which
        reason."""
        table = layout.aside(NAME)
        aside = [(row[1], row[3]) for row in rows(table, ASIDE_COLUMNS)] if table.exists() else []
        for reason in dict.fromkeys(reason for _, reason in aside if reason.startswith("held")):
            self.colours.wait(unescape(reason))
        left_out = Counter(reason for _, reason in aside if reason.startswith("skipped: "))
        for reason, count in left_out.items():
            hint = "; --all-files takes them" if reason.endswith(NO_BIN) else ""
            self.colours.line(f"{count} file(s) {reason}{hint}")
            if self.wish.verbose:
                for path, why in aside:
                    if why == reason:
                        self.colours.line(f"  {path}")

    def _name(self, transfer: Transfer, path: str) -> None:
        local = printable(str(transfer.folder / path))
        self.colours.line(f"{local} -> {transfer.url}{printable(path)}")

    def _empty(self) -> int:
        hint = "" if self.wish.recursive else "; --recursive looks into folders"
        where = printable(str(self.place.folder / self.place.file))
        self.colours.wait(f"No files found to upload in {where}{hint}")
        return EXIT_EMPTY


def _sent(layout: Layout) -> Iterator[Proof]:
    """The proofs of the files that were uploaded since the last inventory, in the order of the
    batches."""
    run = state.read(layout).run
    for path in sorted(layout.journals()):
        for written, proof in journal.read([path], run).done.values():
            if written == run:
                yield proof


def _published(layout: Layout) -> str:
    return published_key(layout.publication(NAME))


@contextlib.contextmanager
def borrowed(home: Path) -> Iterator[Path]:
    """A temporary folder for a dry run, with a copy of the results of earlier runs. The dry run
    leaves no trace, and reads no file and requests no object a second time."""
    with tempfile.TemporaryDirectory(prefix="pt5-uploader-") as folder:
        # Without its records of the tables, Snakemake would not take the inventory again.
        for part in ("results", ".snakemake/metadata", ".snakemake/incomplete"):
            for path in (home / part).rglob("*"):
                if path.is_file() and "logs" not in path.parts and path.name != ".door.lock":
                    copy = Path(folder) / path.relative_to(home)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    with contextlib.suppress(FileNotFoundError):  # another run is at work there
                        shutil.copy2(path, copy)
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(home / "config.toml", folder)
        yield Path(folder)


if __name__ == "__main__":
    sys.exit(main())
