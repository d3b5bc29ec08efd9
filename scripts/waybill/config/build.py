"""Builds a transfer from the layers of its settings, or lists all mistakes in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from waybill.config.notify import parse as parse_notify
from waybill.model.bandwidth import parse_bandwidth
from waybill.model.locations import is_arn, is_s3, key_prefix, local_path, parse_s3
from waybill.model.selection import check_pattern
from waybill.model.transfer import Notify, Transfer
from waybill.model.units import parse_sample, parse_size
from waybill.presets import registry

_PATTERNS = {"include", "exclude", "first", "last"}


def merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """``upper`` over ``lower``, tables joined key by key."""
    result = dict(lower)
    for key, value in upper.items():
        below = result.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            value = merged(below, value)
        result[key] = value
    return result


@dataclass(frozen=True, slots=True)
class Layer:
    """Settings from one place; ``where`` followed by a key is the full name of a setting."""

    where: str
    settings: dict[str, Any]

    def has(self, key: str) -> bool:
        value: Any = self.settings
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                return False
            value = value[part]
        return True


class Builder:
    """Builds one transfer from its layers (lowest first), or lists the mistakes in them.

    ``removed`` are the keys whose mistakes were named before; no other message mentions them.
    ``preset`` is None when the key ``preset`` is one of them. ``beneath`` are settings that the
    preset and all layers replace.
    """

    def __init__(
        self, name: str, layers: list[Layer], removed: set[str], *, beneath: Mapping[str, Any]
    ) -> None:
        self.name = name
        self.layers = layers
        self._beneath = beneath
        self.removed = set(removed)
        self.problems: list[str] = []
        self.preset: str | None = None
        self._folders: tuple[Path, ...] = ()
        self._of_preset: Mapping[str, Any] = {}

    def build(self) -> Transfer | None:
        """The transfer, or None when there are problems or something was removed."""
        settings = self._settings()
        sides = self._sides(settings)
        self._check_patterns(settings, sides)
        self._check_access(settings, sides)
        self._check_acceleration(settings, sides)
        self._check_encryption(settings)
        publish = self._publish(settings, sides)
        sample = self._try("verify.sample", parse_sample, settings["verify"]["sample"])
        against = self._against(settings["verify"])
        notify = self._notify(settings)
        results = self._try("results", _results, settings["results"])
        if self.problems or self.removed or sides is None:
            return None
        upload = isinstance(sides[0], Path)
        folder, (bucket, prefix) = sides if upload else sides[::-1]
        folder = folder.absolute()
        names = [str(folder), f"s3://{bucket}/{prefix}"]
        batch, verify = settings.pop("batch"), settings.pop("verify")
        bandwidth = settings.pop("max_bandwidth", None)
        special = {"source", "destination", "results", "publish", "notify"} | _PATTERNS
        preset = registry.get(settings["preset"])
        table = settings.pop(preset.name, {})
        return Transfer(
            name=self.name,
            direction="upload" if upload else "download",
            source=names[0 if upload else 1],
            destination=names[1 if upload else 0],
            folder=folder,
            folders=self._folders,
            bucket=bucket,
            prefix=prefix,
            results=results / self.name,
            publish_prefix=publish,
            **{key: tuple(settings[key]) for key in _PATTERNS},
            max_files=batch["max_files"],
            max_bytes=parse_size(batch["max_bytes"]),
            max_bandwidth=None if bandwidth is None else parse_bandwidth(bandwidth),
            verify_depth=verify["depth"],
            verify_sample=sample,
            verify_against=against,
            notify=notify,
            preset_settings=table,
            exclude_regexes=tuple(preset.exclude_regexes(table)),
            several=preset.finder is not None,
            tool=preset.tool,
            manifest_copy=preset.manifest_copy,
            **{key: value for key, value in settings.items() if key not in special},
        )

    def origin(self, key: str) -> str:
        """Where a setting comes from: ``FILE: transfers.NAME``, ``FILE: defaults``, ``preset``,
        ``profile`` (of Snakemake) or ``default``. ``key`` has dots between tables."""
        for layer in reversed(self.layers):
            if layer.has(key):
                return layer.where.rstrip(": .")
        if Layer("", dict(self._of_preset)).has(key):
            return f"preset {self.preset}"
        return "profile" if Layer("", dict(self._beneath)).has(key) else "default"

    def _settings(self) -> dict[str, Any]:
        """All layers merged over the defaults of the schema and of the preset."""
        from waybill.config.check import check_settings, default_settings, preset_tables

        base = merged(default_settings(), self._beneath)
        given: dict[str, Any] = {}
        for layer in self.layers:
            given = merged(given, layer.settings)
        if "preset" in self.removed:
            self.removed |= {"source", "destination"}  # the preset might have derived them
            return merged(base, given)
        name = given.get("preset", base["preset"])
        preset = registry.get(name)
        self.preset = name
        base = merged(default_settings(name), self._beneath)
        for table in preset_tables(given):
            if table != name:
                if any(layer.has(table) for layer in self.layers[1:]):
                    self._problem(table, f'only with preset = "{table}"')
                given.pop(table)
        settings = merged(base, given)
        if name in self.removed:  # the table named like the preset, with a mistake inside
            self.removed |= preset.derives
            return settings
        try:
            under = preset.defaults(settings)
        except ValueError as error:
            self._problem(getattr(error, "key", "preset"), str(error))
            self.removed |= preset.derives
            return settings
        if name not in registry.built_in():
            checked = check_settings(under, f'preset "{name}" sets ')
            self.problems += checked.problems
            under = checked.valid
        self._of_preset = under
        return merged(merged(base, under), given)

    def _sides(self, settings: Mapping[str, Any]) -> tuple[Any, Any] | None:
        """Source and destination, each a Path or (bucket, prefix); None when one is wrong."""
        sides: list[Path | tuple[str, str] | None] = []
        for key in ("source", "destination"):
            if key in settings:
                sides.append(self._side(key, settings[key], "endpoint_url" in settings))
            elif self._sound(key):
                self._problem(key, "missing; a transfer needs a source and a destination")
        if len(sides) < 2 or None in sides:
            return None
        source, destination = sides
        if isinstance(source, Path) and isinstance(destination, Path):
            self._problem(
                "destination", "source and destination are both folders; one must be s3://..."
            )
            return None
        if isinstance(source, tuple) and isinstance(destination, tuple):
            self._problem(
                "destination", "source and destination are both in S3; one must be a folder"
            )
            return None
        return source, destination

    def _side(self, key: str, value: str | list[str], elsewhere: bool) -> Any:
        """One side as a Path or (bucket, prefix); of several folders the first. ``elsewhere`` is as
        in ``parse_s3``."""
        if isinstance(value, str):
            s3 = partial(parse_s3, elsewhere=elsewhere)
            return self._try(key, s3 if is_s3(value) else local_path, value)
        finder = registry.get(self.preset).finder if self.preset else None
        if key != "source" or finder is None or not finder.many_folders:
            able = [p for p in registry.built_in().values() if p.finder and p.finder.many_folders]
            names = " or ".join(f'"{preset.name}"' for preset in able)
            self._problem(key, f"a list of folders is for the source with preset = {names}")
            return None
        folders = [
            self._try(key, local_path, text, place=f"[{number}]", shown=text)
            for number, text in enumerate(value)
        ]
        self._folders = tuple(folder.absolute() for folder in folders if folder is not None)
        return folders[0]

    def _check_patterns(self, settings: Mapping[str, Any], sides: tuple[Any, Any] | None) -> None:
        folder = sides[0] if sides is not None and isinstance(sides[0], Path) else None
        for key in sorted(_PATTERNS):
            for number, pattern in enumerate(settings[key]):
                self._try(key, check_pattern, pattern, place=f"[{number}]", shown=pattern)
                if folder is not None and pattern.startswith(f"{folder.absolute()}/"):
                    text = f'"{pattern}": is absolute; patterns are relative to the dataset'
                    self._problem(key, text, place=f"[{number}]")

    def _check_access(self, settings: Mapping[str, Any], sides: tuple[Any, Any] | None) -> None:
        if "endpoint_url" in settings:
            self._try("endpoint_url", check_endpoint_url, settings["endpoint_url"])
        if settings["anonymous"] and settings["requester_pays"]:
            text = "cannot be true together with requester_pays: S3 must know who pays"
            self._problem("anonymous", text)
        if settings.get("addressing_style") == "path" and _arns(sides):
            self._problem("addressing_style", 'cannot be "path" for an access point')

    def _check_encryption(self, settings: Mapping[str, Any]) -> None:
        kms = settings.get("sse", "").startswith("aws:kms") or not self._sound("sse")
        if "sse_kms_key_id" in settings and not kms:
            self._problem("sse_kms_key_id", 'only with sse "aws:kms" or "aws:kms:dsse"')

    def _check_acceleration(
        self, settings: Mapping[str, Any], sides: tuple[Any, Any] | None
    ) -> None:
        if settings["accelerate"] is not True:
            return
        if "endpoint_url" in settings:
            self._problem("accelerate", "cannot be true together with endpoint_url")
        if settings.get("addressing_style") == "path":
            self._problem("accelerate", 'cannot be true together with addressing_style "path"')
        if any(isinstance(side, tuple) and "." in side[0] for side in sides or ()):
            self._problem("accelerate", "cannot be true for a bucket whose name holds a dot")
        if _arns(sides):
            self._problem("accelerate", "cannot be true for an access point")

    def _publish(self, settings: Mapping[str, Any], sides: tuple[Any, Any] | None) -> str | None:
        if sides is None or settings["publish"] is False:
            return None
        prefix = next(side[1] for side in sides if isinstance(side, tuple))
        return self._try("publish", lambda text: key_prefix(prefix, text), settings["publish"])

    def _notify(self, settings: Mapping[str, Any]) -> Notify | None:
        if not self._sound("notify"):
            return None
        notify, problems = parse_notify(settings["notify"])
        for key, text in problems:
            self._problem(f"notify.{key}", text)
        return notify

    def _against(self, verify: dict[str, Any]) -> Path | None:
        """The list that a verification holds the folder against. It has nothing but names without
        the bytes, so these are looked at unless something else is said."""
        if "against" not in verify:
            return None
        if not any(layer.has("verify.depth") for layer in self.layers):
            verify["depth"] = "content"
        elif verify["depth"] == "metadata":
            self._problem("verify.depth", 'cannot be "metadata" with against: a folder has none')
        path = self._try("verify.against", local_path, verify["against"])
        return path.absolute() if path is not None else None

    def _sound(self, key: str) -> bool:
        return key not in self.removed

    def _try(
        self, key: str, parse: Callable[[Any], Any], value: Any, *, place: str = "", shown: str = ""
    ) -> Any:
        """``parse(value)``, or None with its ValueError as a problem of ``key``."""
        try:
            return parse(value)
        except ValueError as error:
            text = f'"{shown}": {error}' if place else str(error)
            self._problem(key, text, place=place)
            return None

    def _problem(self, key: str, text: str, *, place: str = "") -> None:
        """Add a problem, naming ``key`` where its value comes from, else in the transfer."""
        by_rank = [layer for layer in reversed(self.layers) if layer.has(key)]
        layer = by_rank[0] if by_rank else self.layers[1]
        self.problems.append(f"{layer.where}{key}{place}: {text}")


def _arns(sides: tuple[Any, Any] | None) -> bool:
    """Whether the bucket is named by the ARN of an access point."""
    return any(isinstance(side, tuple) and is_arn(side[0]) for side in sides or ())


def _results(text: str) -> Path:
    if is_s3(text):
        raise ValueError("is an S3 address; results are kept in a folder")
    if set("{}") & set(text):
        raise ValueError('holds "{" or "}", which Snakemake takes for a wildcard')
    return local_path(text)


def check_endpoint_url(url: str) -> None:
    """Raise ValueError, never showing the address, unless it is plain http or https."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        parts, host = None, None
    if any(character.isspace() for character in url):
        raise ValueError("holds a blank, which no address does (value not shown)")
    if "@" in url:
        raise ValueError(
            "holds a user or password; credentials come only from the AWS chain (value not shown)"
        )
    if parts is None or parts.scheme not in ("http", "https") or not host:
        raise ValueError("is not a http:// or https:// address (value not shown)")
