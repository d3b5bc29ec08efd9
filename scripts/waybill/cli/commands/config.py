"""``waybill config``: the settings of each transfer, every one decided."""

from __future__ import annotations

import argparse
import os
from typing import Any

from waybill.cli.commands import options
from waybill.cli.terminal import Screen, visible
from waybill.config import read
from waybill.config.build import Builder
from waybill.config.check import dotted, properties, toml
from waybill.model.errors import EXIT_OK
from waybill.model.transfer import Transfer
from waybill.presets import registry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_transfers(parser)
    options.add_json(parser)


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Show the settings as TOML, each with where it comes from; returns the exit code."""
    transfers = options.transfers(given)
    builders: dict[str, Builder] = {}
    read.from_table(read.read_toml(given.config), given.config, builders=builders)
    told = screen.data["transfers"] = []
    for name, transfer in transfers.items():
        screen.line(f"[transfers.{name}]")
        secret = _secrets(transfer)
        settings: dict[str, dict[str, Any]] = {}
        for key, value in _settings(transfer).items():
            origin = builders[name].origin(key.partition('."')[0])
            if key in secret:
                screen.line(f"# {key} is set and not shown ({visible(origin)})")
                settings[key] = {"value": None, "from": origin}
            else:
                screen.line(f"{f'{key} = {_toml(value)}':<40} # {visible(origin)}")
                settings[key] = {"value": value, "from": origin}
        if transfer.publish_prefix is not None:
            screen.line(f"# manifests: s3://{transfer.bucket}/{transfer.publish_prefix}")
        for variable in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
            if transfer.endpoint_url is None and os.environ.get(variable):
                screen.line(f"# the store is the one that {variable} names")
                break
        screen.line()
        told.append({"name": name, "settings": settings})
    return EXIT_OK


def _secrets(transfer: Transfer) -> set[str]:
    """The keys whose values are never shown."""
    secret = {key for key, rules in properties().items() if rules.get("x-secret")}
    for key, rules in registry.get(transfer.preset).settings.items():
        if rules.get("x-secret"):
            secret.add(dotted([transfer.preset, key]))
    return secret


def _toml(value: Any) -> str:
    """A value as TOML writes it, in characters that a terminal does not obey."""
    escapes = (c if c.isprintable() else f"\\U{ord(c):08x}" for c in toml(value))
    return "".join(escapes)


def _settings(transfer: Transfer) -> dict[str, Any]:
    """The settings of a transfer under the names they have in a configuration."""
    found: dict[str, Any] = {}
    for key in properties():
        value = getattr(transfer, key, None)
        match key:
            case "batch":
                found |= {f"batch.{k}": getattr(transfer, k) for k in ("max_files", "max_bytes")}
            case "verify":
                found["verify.depth"] = transfer.verify_depth
                found["verify.sample"] = "/".join(map(str, transfer.verify_sample))
                if transfer.verify_against is not None:
                    found["verify.against"] = str(transfer.verify_against)
            case "results":
                found[key] = str(transfer.results.parent)
            case "publish" if transfer.publish_prefix is None:
                found[key] = False
            case "source" if transfer.folders:
                found[key] = [str(folder) for folder in transfer.folders]
            case "tags":
                found |= {dotted([key, k]): item for k, item in transfer.tags.items()}
            case _ if value is not None:
                found[key] = value
    table = transfer.preset_settings
    return found | {dotted([transfer.preset, k]): item for k, item in table.items()}
