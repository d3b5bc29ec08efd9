"""Answers to a command line that no command takes: what was meant, and how it is written."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Collection, Sequence

# Commands of other tools, and what each does there that Waybill does otherwise.
_SYNC = {"sync", "mirror", "bisync"}
_COPY = {
    "cp", "copyto", "download", "fetch", "get", "move", "mv", "pull", "push", "put", "send",
    "transfer", "upload",
}  # fmt: skip
_OTHERS = {
    "ls": "status", "list": "status", "lsf": "status", "check": "verify", "diff": "plan",
    "dry-run": "plan", "start": "run", "resume": "run", "continue": "run", "validate": "config",
    "configure": "init", "new": "init", "search": "find", "show": "config",
}  # fmt: skip


def command_advice(word: str, rest: Sequence[str], known: Collection[str]) -> str:
    """What to say about a first word that is no command."""
    places = shlex.join([one for one in rest if not one.startswith("-")]) or "SOURCE DESTINATION"
    if word in _SYNC:
        return (
            f"no command {word}: in other tools it also deletes, and Waybill deletes nothing;"
            f" `waybill copy {places}` moves what is new or changed,"
            " `waybill run` does the transfers of a configuration"
        )
    if word in _COPY:
        return f"no command {word}; `waybill copy {places}` moves what is new or changed"
    if word in ("rm", "delete", "purge", "mb", "rb"):
        return f"no command {word}: Waybill deletes nothing and makes no buckets"
    if word in ("-n", "--dry-run", "--dryrun"):
        return f"{word} belongs to a command; `waybill plan` shows what a run would do"
    if word.startswith("-"):
        return f"{word} belongs to a command: `waybill COMMAND {word}`; `waybill --help` lists them"
    near = _OTHERS.get(word) or next(iter(difflib.get_close_matches(word, known, n=1)), None)
    hint = f" did you mean `waybill {near}`?" if near else ""
    return f"no command {word};{hint} commands: {', '.join(known)}"


def words_advice(command: str, words: Sequence[str], options: Collection[str]) -> str:
    """What to say about arguments that a command does not take. ``options`` are those it has."""
    first = words[0]
    name = first.partition("=")[0]
    if name in ("--configfile", "--toml", "-c", "--conf"):
        file = first.partition("=")[2] or (words[1] if len(words) > 1 else "FILE.toml")
        return f"{name} is no option of {command}; write `--config {file}`"
    if name in ("--dryrun", "--dry_run", "--just-print"):
        return f"{name} is no option of {command}; `waybill plan` shows what a run would do"
    if name in ("--delete", "--delete-after", "--remove-source-files"):
        return f"{name} is no option: Waybill deletes nothing"
    if first.startswith("-"):
        near = difflib.get_close_matches(name, options, n=1)
        hint = f" did you mean {near[0]}?" if near else ""
        return f"{name} is no option of {command};{hint} `waybill {command} --help` lists them" + (
            ", options of Snakemake go after `--`" if "--profile" in options else ""
        )
    if command == "copy":
        return (
            f"copy takes one SOURCE and one DESTINATION; {shlex.join(words)} is too much: to move"
            " some files of a folder, name the folder and `--include PATTERN`"
        )
    if any("://" in word for word in words) or len(words) > 1:
        return (
            f"{command} takes its places from a configuration; `waybill copy {shlex.join(words)}`"
            " moves without one"
        )
    if first.endswith(".toml"):
        return f"{command} takes no file as it is; write `--config {shlex.quote(first)}`"
    if "--transfers" in options:
        word = shlex.quote(first)
        return f"{command} takes no name as it is; write `--transfers {word}` for that transfer"
    return f"{command} takes no {first}; `waybill {command} --help` says what it takes"
