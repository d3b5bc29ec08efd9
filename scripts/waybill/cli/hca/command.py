"""The command ``hca-smart-sync``: the .h5ad files of a folder to the bucket of an HCA atlas."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from waybill.cli import state_folder, user_config
from waybill.cli.hca.arguments import PROGRAM, WORDS, Wish, parse
from waybill.cli.plan import Plan
from waybill.cli.session import Session, hold_results, plan_lines
from waybill.cli.terminal import Screen, asks, guarded, printable, visible
from waybill.config.check import toml
from waybill.model.errors import EXIT_CONFIG, EXIT_EMPTY, EXIT_FAILED, EXIT_OK, WaybillError
from waybill.model.locations import check_bucket
from waybill.model.transfer import Transfer
from waybill.model.units import format_size
from waybill.presets.hca import BUCKETS, REGION, SENT, is_hdf5, network
from waybill.presets.preset import PresetError
from waybill.results import state
from waybill.results.layout import Layout
from waybill.results.published import last_published, published_key
from waybill.system.root import Root

NAME = "hca"  # of the only transfer


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    return guarded(PROGRAM, lambda screen: _command(screen, arguments), WORDS)


def _command(screen: Screen, arguments: list[str]) -> int:
    wish = parse(arguments, screen.problem)
    if wish.action == "init":
        return config_init(screen)
    if wish.action == "show":
        return config_show(screen, wish)
    return sync(screen, wish)


def sync(screen: Screen, wish: Wish) -> int:
    """Show the plan, ask, upload, sum up."""
    folder = _folder(wish.local_path)
    bucket = _check(wish)
    home = _home(wish, folder, bucket)
    layout = Layout(home / "results" / NAME)
    hold_results(layout)
    force = wish.force and not wish.dry_run
    overwrite = "always" if force else "if-changed"
    file = home / "config.toml"
    if "always" in (overwrite, _last_overwrite(file)):
        state_folder.forget_proofs(layout)
    transfers = state_folder.configure(file, _toml(wish, folder, overwrite))
    transfer = transfers[NAME]
    log = home / "snakemake.log"
    launch = state_folder.launch(screen, file, log, verbose=wish.verbose, debug=wish.debug)
    session = Session(screen, launch, transfers)
    try:
        return _plan_and_run(screen, wish, session, transfer)
    finally:
        if wish.debug:
            for line in session.logs():
                screen.note(line)


def _plan_and_run(screen: Screen, wish: Wish, session: Session, transfer: Transfer) -> int:
    """Show the plan, ask, and run it."""
    forced_dry = wish.dry_run and wish.force
    ended, plans = session.plan(forced=forced_dry)
    for _, line in session.failed(ended):
        screen.problem(visible(line))
    if ended.signal or NAME not in plans:
        return ended.code or EXIT_FAILED
    plan = plans[NAME]
    if ended.code == EXIT_EMPTY or not (plan.found or plan.refused):
        screen.problem(f"No .h5ad files found in {printable(str(transfer.folder))}")
        return ended.code or EXIT_EMPTY
    _show(screen, wish, session, transfer, plan)
    if wish.dry_run:
        screen.line("Dry run: nothing uploaded")
        return ended.code
    if not plan.found:
        return ended.code
    if plan.moves and not (wish.force or wish.yes):
        if not asks():
            screen.problem(
                "no terminal to ask on: --yes uploads what is new or changed without a question,"
                " --force uploads all; nothing uploaded"
            )
            return EXIT_CONFIG
        if not screen.ask(f"Upload {len(plan.moves)} file(s) to {transfer.url}?"):
            screen.line("nothing uploaded")
            return EXIT_OK
    # A run that has nothing to do does not tell what went wrong in the plan.
    return _run(screen, session, transfer, plans) or ended.code


def _run(screen: Screen, session: Session, transfer: Transfer, plans: dict[str, Plan]) -> int:
    layout, plan = session.layouts[NAME], plans[NAME]
    dataset = state.read(layout).datasets[0]
    before = last_published(layout, dataset)
    ended = session.run(plans)
    for _, line in session.failed(ended):
        screen.problem(visible(line))
    if plan.moves:
        files, size = session.moved(plans)
        count = str(files) if files == len(plan.moves) else f"{files} of {len(plan.moves)}"
        screen.line(f"Uploaded {count} file(s), {format_size(size)}, to {transfer.url}")
        if files < len(plan.moves):
            screen.line("No new manifest: it is published when every file has arrived")
    key = published_key(layout.publication(dataset))
    if key and key != before:
        screen.line(f"Manifest s3://{transfer.bucket}/{key}")
        copy = transfer.folder / key.rpartition("/")[2]
        if copy.exists():
            screen.line(f"Its copy {printable(str(copy))}")
    return ended.code


def _show(screen: Screen, wish: Wish, session: Session, transfer: Transfer, plan: Plan) -> None:
    """Show the plan on the screen."""
    refused = session.refused(NAME, plan)
    count = f"Found {plan.found} .h5ad file(s)"
    if not plan.moves and not plan.refused:
        screen.line(f"{count} - all up to date")
    else:
        screen.line(f"{count} in {printable(str(transfer.folder))}, for {transfer.url}")
    if plan.moves or refused:
        screen.line()
        for line in plan_lines(plan, refused):
            screen.line(line)
        screen.line()
    if plan.moves and plan.same:
        screen.line(f"{len(plan.same)} up to date")
    if plan.refused:
        screen.line(f"{len(plan.refused)} cannot be uploaded")
    for path, reason in plan.skipped:
        screen.line(f"skipped {printable(path)}: {visible(reason)}")
    root = Root(transfer.folder, transfer.symlinks)
    for move in plan.moves:
        if not is_hdf5(root, move.path, move.size):
            screen.note(f"{printable(move.path)} {SENT}")
    if wish.verbose:
        for path in plan.same:
            screen.line(f"up to date {printable(path)}")
        if plan.only_there:
            screen.line(f"{plan.only_there} only in the bucket; nothing is deleted")


def _home(wish: Wish, folder: Path, bucket: str) -> Path:
    """The folder in which this upload keeps its state between runs."""
    name = f"{wish.atlas}-{wish.folder}-{wish.environment}-{state_folder.digest(folder, bucket)}"
    return state_folder.state_home(NAME) / name


def _folder(local_path: str) -> Path:
    """The folder with the data, its path absolute."""
    try:
        folder = Path(local_path).resolve(strict=True)
        str(folder).encode()
    except FileNotFoundError:
        text = f"--local-path: {local_path} does not exist"
    except UnicodeEncodeError:
        text = f"--local-path: {local_path} is not UTF-8, which a configuration cannot hold"
    except (OSError, RuntimeError) as error:
        text = f"--local-path: {local_path}: {getattr(error, 'strerror', None) or error}"
    else:
        if folder.is_dir():
            return folder
        text = f"--local-path: {local_path} is not a folder"
    raise WaybillError(text, exit_code=EXIT_CONFIG)


def _check(wish: Wish) -> str:
    """The bucket. Raises WaybillError for an invalid atlas or bucket."""
    bucket = wish.bucket or BUCKETS[wish.environment]
    try:
        network(wish.atlas)
        check_bucket(bucket)
    except PresetError as error:
        raise WaybillError(str(error), exit_code=EXIT_CONFIG) from None
    except ValueError as error:
        raise WaybillError(f"HCA_S3_BUCKET: {error}", exit_code=EXIT_CONFIG) from None
    return bucket


def _toml(wish: Wish, folder: Path, overwrite: str) -> str:
    settings = {
        "preset": "hca",
        "source": str(folder).replace("$", "$$"),
        "overwrite": overwrite,
        "hca.atlas": wish.atlas,
        "hca.folder": wish.folder,
        "hca.environment": wish.environment,
        "hca.bucket": wish.bucket,
        "hca.hdf5_only": wish.hdf5_only,
        "profile": wish.profile,
        "region": wish.region,
        "accelerate": None if wish.accelerate else False,
    }
    lines = [f"{key} = {toml(value)}" for key, value in settings.items() if value is not None]
    return "\n".join([f"# Written by {PROGRAM}.", f"[transfers.{NAME}]", *lines, ""])


def _last_overwrite(file: Path) -> str:
    """The setting ``overwrite`` of the last run; ``always`` when it is not known."""
    last = state_folder.configured(file).get(NAME)
    return last.overwrite if last is not None else "always"


def config_init(screen: Screen) -> int:
    """Ask for the settings and write them; Enter keeps what is there."""
    if not asks():
        text = f"config init asks, and there is no terminal; write {user_config.path()} instead"
        raise WaybillError(text, exit_code=EXIT_CONFIG)
    settings = user_config.read()
    for key, label in (("profile", "AWS profile"), ("atlas", "Default atlas")):
        now = f" [{settings[key]}]" if key in settings else ""
        if answer := screen.prompt(f"{label}{printable(now)}: "):
            settings[key] = answer
    if "atlas" in settings:
        try:
            network(settings["atlas"])
        except PresetError as error:
            raise WaybillError(f"{error}; nothing written") from None
    screen.line(f"Written to {user_config.write(settings)}")
    return EXIT_OK


def config_show(screen: Screen, wish: Wish) -> int:
    """Show the settings that would be used, and where each comes from."""
    settings = user_config.read()
    file = user_config.path()
    note = "" if file.exists() else f" (not there; `{PROGRAM} config init` writes it)"
    profile, origin = wish.profile, wish.profile_from
    if profile is None:
        profile, origin = os.environ.get("AWS_PROFILE"), "AWS_PROFILE"
    rows = [
        ("user config", f"{file}{note}"),
        ("AWS profile", f"{profile} ({origin})" if profile else "none; the AWS chain decides"),
        ("atlas", f"{settings['atlas']} (user config)" if "atlas" in settings else "none"),
    ]
    if wish.bucket:
        rows.append(("bucket", f"{wish.bucket} (HCA_S3_BUCKET)"))
    else:
        rows += [(f"bucket ({name})", bucket) for name, bucket in BUCKETS.items()]
    region = wish.region or (None if wish.bucket else REGION)
    rows.append(("region", region or "none; the AWS chain decides"))
    rows.append(("acceleration", "when the bucket has it" if wish.accelerate else "never"))
    rows.append(("state", str(state_folder.state_home(NAME))))
    for label, text in rows:
        screen.line(f"{label:<14} {printable(text)}")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
