"""Makes one transfer out of the layers of its settings, or says all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waybill import presets
from waybill.config import Transfer
from waybill.locations import is_s3, key_prefix, local_path, parse_s3
from waybill.selection import check_pattern
from waybill.units import parse_sample, parse_size


def merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """``upper`` over ``lower``, tables joined key by key."""
    result = dict(lower)
    for key, value in upper.items():
        below = result.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        result[key] = merged(below, value) if both else value
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
    """Makes one transfer out of its layers (lowest first), or the list of what is wrong with it.

    ``removed`` are the keys whose value was already found wrong: nothing more is said about them.
    ``preset`` is None when it was one of those.
    """

    def __init__(self, name: str, layers: list[Layer], removed: set[str]) -> None:
        self.name = name
        self.layers = layers
        self.removed = set(removed)
        self.problems: list[str] = []
        self.preset: str | None = None

    def build(self) -> Transfer | None:
        """The transfer, or None when there are problems or something was removed."""
        settings = self._settings()
        sides = self._sides(settings)
        self._check_patterns(settings, sides)
        self._check_endpoint(settings)
        self._check_acceleration(settings, sides)
        self._check_encryption(settings)
        publish = self._publish(settings, sides)
        sample = self._try("verify.sample", parse_sample, settings["verify"]["sample"])
        results = self._try("results", _results, settings["results"])
        if self.problems or self.removed or sides is None:
            return None
        upload = isinstance(sides[0], Path)
        folder, (bucket, prefix) = sides if upload else sides[::-1]
        folder = folder.absolute()
        names = [str(folder), f"s3://{bucket}/{prefix}"]
        batch, verify = settings.pop("batch"), settings.pop("verify")
        bandwidth = settings.pop("max_bandwidth", None)
        special = {"source", "destination", "results", "publish", "include", "exclude"}
        return Transfer(
            name=self.name,
            direction="upload" if upload else "download",
            source=names[0 if upload else 1],
            destination=names[1 if upload else 0],
            folder=folder,
            bucket=bucket,
            prefix=prefix,
            results=results / self.name,
            publish_prefix=publish,
            include=tuple(settings["include"]),
            exclude=tuple(settings["exclude"]),
            max_files=batch["max_files"],
            max_bytes=parse_size(batch["max_bytes"]),
            max_bandwidth=None if bandwidth is None else parse_size(bandwidth),
            verify_depth=verify["depth"],
            verify_sample=sample,
            **{key: value for key, value in settings.items() if key not in special},
        )

    def _settings(self) -> dict[str, Any]:
        """All layers merged over the defaults of the schema and of the preset."""
        from waybill.config_check import default_settings

        base = default_settings()
        given: dict[str, Any] = {}
        for layer in self.layers:
            given = merged(given, layer.settings)
        preset = given.get("preset", base["preset"])
        if "preset" in self.removed:
            self.removed.add("destination")  # the preset might have derived it
            return merged(base, given)
        self.preset = preset
        if preset != "hca":
            if any(layer.has("hca") for layer in self.layers[1:]):
                self._problem("hca", 'only with preset = "hca"')
            base.pop("hca")
            given.pop("hca", None)
        settings = merged(base, given)
        if preset in self.removed:  # the table named like the preset, with a mistake inside
            self.removed.add("destination")
            return settings
        try:
            under = presets.apply(preset, settings)
        except ValueError as error:
            self._problem(getattr(error, "key", "preset"), str(error))
            self.removed.add("destination")
            return settings
        return merged(merged(base, under), given)

    def _sides(self, settings: Mapping[str, Any]) -> tuple[Any, Any] | None:
        """Source and destination, each a Path or (bucket, prefix); None when one is wrong."""
        sides: list[Path | tuple[str, str] | None] = []
        for key in ("source", "destination"):
            if key in settings:
                parse = parse_s3 if is_s3(settings[key]) else local_path
                sides.append(self._try(key, parse, settings[key]))
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

    def _check_patterns(self, settings: Mapping[str, Any], sides: tuple[Any, Any] | None) -> None:
        folder = sides[0] if sides is not None and isinstance(sides[0], Path) else None
        for key in ("include", "exclude"):
            for number, pattern in enumerate(settings[key]):
                self._try(key, check_pattern, pattern, place=f"[{number}]", shown=pattern)
                if folder is not None and pattern.startswith(f"{folder.absolute()}/"):
                    text = f'"{pattern}": is absolute; patterns are relative to the dataset'
                    self._problem(key, text, place=f"[{number}]")

    def _check_endpoint(self, settings: Mapping[str, Any]) -> None:
        if "endpoint_url" in settings:
            self._try("endpoint_url", _check_endpoint_url, settings["endpoint_url"])

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
        if settings["addressing_style"] == "path":
            self._problem("accelerate", 'cannot be true together with addressing_style "path"')
        if any(isinstance(side, tuple) and "." in side[0] for side in sides or ()):
            self._problem("accelerate", "cannot be true for a bucket whose name holds a dot")

    def _publish(self, settings: Mapping[str, Any], sides: tuple[Any, Any] | None) -> str | None:
        if sides is None or settings["publish"] is False:
            return None
        prefix = next(side[1] for side in sides if isinstance(side, tuple))
        return self._try("publish", lambda text: key_prefix(prefix, text), settings["publish"])

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


def _results(text: str) -> Path:
    if is_s3(text):
        raise ValueError("is an S3 address; results are kept in a folder")
    if set("{}") & set(text):
        raise ValueError('holds "{" or "}", which Snakemake takes for a wildcard')
    return local_path(text)


def _check_endpoint_url(url: str) -> None:
    """Raise ValueError, never showing the address, unless it is plain http or https."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        parts, host = None, None
    if "@" in url:
        raise ValueError(
            "holds a user or password; credentials come only from the AWS chain (value not shown)"
        )
    if parts is None or parts.scheme not in ("http", "https") or not host:
        raise ValueError("is not a http:// or https:// address (value not shown)")
