"""Checks a configuration against its schema, and describes each mistake in words.

The schema (workflow/schemas/config.schema.yaml, and the tables of the presets) is the only list of
keys. Messages and the reference page take the allowed values from it.
"""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from waybill.model.bandwidth import parse_bandwidth
from waybill.model.errors import ConfigError
from waybill.model.units import parse_size
from waybill.presets import registry
from waybill.presets.preset import Preset
from waybill.system.resources import project_root

KeyPath = tuple[str | int, ...]

_SECRET = re.compile(r"secret|token|passw|credential|access_?key|private_?key|api_?key")
_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a table",
}


@cache
def common_schema() -> dict[str, Any]:
    """The schema of the settings that all presets share. Callers must not change it."""
    import yaml

    path = project_root() / "workflow" / "schemas" / "config.schema.yaml"
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


@cache
def schema() -> dict[str, Any]:
    """The schema with the presets of this package."""
    return _with_presets(list(registry.built_in()), list(registry.built_in().values()))


@cache
def schema_of_all(needed: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The schema with all presets that can be loaded, also those of other distributions. Raises
    ConfigError, which names the distribution, when one of those ``needed`` cannot."""
    found = list(registry.built_in().values())
    for name in registry.published():
        try:
            found.append(_sound(registry.get(name)))
        except ConfigError:
            if name in needed:
                raise
    return _with_presets(registry.names(), found)


def _with_presets(names: list[str], presets: list[Preset]) -> dict[str, Any]:
    whole = copy.deepcopy(common_schema())
    settings = whole["$defs"]["settings"]
    keys = settings["properties"]
    keys["preset"]["enum"] = names
    for key in ("source", "destination"):
        makers = [f"`{preset.name}`" for preset in presets if key in preset.derives]
        text = " Required."
        if makers:
            text = f" Required, but preset{'s' * (len(makers) > 1)} {_listed(makers)} "
            text += "derives it." if len(makers) == 1 else "derive it."
        keys[key]["description"] += text
    if many := [f"`{p.name}`" for p in presets if p.finder and p.finder.many_folders]:
        text = f" With preset{'s' * (len(many) > 1)} {_listed(many)} also a list of folders."
        keys["source"]["description"] += text
    for preset in presets:
        if preset.settings:
            title = f"Preset {preset.name}" + (f" ({preset.title})" if preset.title else "")
            whole["x-groups"][preset.name] = title
            keys[preset.name] = preset.table
    place = "unknown key here; put it into [defaults] or [transfers.NAME] as"
    whole["x-elsewhere"] = {key: f"{place} {key}" for key in keys} | settings["x-elsewhere"]
    return whole


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _sound(preset: Preset) -> Preset:
    """A published preset; raises ConfigError when its table cannot be part of the schema."""
    from jsonschema.exceptions import SchemaError

    if preset.name in common_properties():
        raise registry.unusable(preset.name, "its name is that of a setting")
    try:
        _validator_class().check_schema(preset.table)
    except SchemaError as error:
        where = dotted(list(error.absolute_path))
        raise registry.unusable(preset.name, f"its table: {where}: {error.message}") from None
    return preset


def common_properties() -> dict[str, Any]:
    """The schema of each setting that all presets share, by key."""
    return common_schema()["$defs"]["settings"]["properties"]


def properties() -> dict[str, Any]:
    """The schema of each setting of a transfer with a preset of this package, by key."""
    return schema()["$defs"]["settings"]["properties"]


def preset_tables(settings: Mapping[str, Any]) -> list[str]:
    """The keys of settings without mistakes that are tables of presets, in the order of those."""
    found = settings.keys() - common_properties().keys()
    own = [name for name in registry.built_in() if name in found]
    return own + sorted(found.difference(own))


def default_settings(preset: str = "generic") -> dict[str, Any]:
    """Every setting that has a default in the schema, with the table of ``preset``; tables hold
    their own defaults."""
    found = _defaults(common_properties())
    table = registry.get(preset).settings
    return found | ({preset: _defaults(table)} if table else {})


def _defaults(keys: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, rules in keys.items():
        if "default" in rules:
            found[key] = copy.deepcopy(rules["default"])
        elif "properties" in rules:
            found[key] = _defaults(rules["properties"])
    return found


@dataclass(slots=True)
class Checked:
    """A checked table: ``valid`` is the table without its mistakes, ``problems`` describes each
    mistake, and ``removed`` has the path of each."""

    valid: dict[str, Any]
    problems: list[str] = field(default_factory=list)
    removed: set[tuple[str, ...]] = field(default_factory=set)


def check_document(document: dict[str, Any], where: str) -> Checked:
    """Check a whole configuration; ``where`` starts every problem, for example the file."""
    tables = [document, document.get("defaults")]
    if isinstance(transfers := document.get("transfers"), dict):
        tables += transfers.values()
    return check_against(document, _schema_for(tables), where)


def check_settings(settings: dict[str, Any], where: str) -> Checked:
    """Check settings that come from outside the file, for example from the command line."""
    rules = {"$ref": "#/$defs/settings", "$defs": _schema_for([settings])["$defs"]}
    return check_against(settings, rules, where)


def _schema_for(tables: Sequence[Any]) -> dict[str, Any]:
    """The schema for these tables of settings. It includes the presets of other distributions if a
    table has a key or a preset that this package does not know."""
    keys: set[str] = set()
    presets: set[str] = set()
    for table in tables:
        if isinstance(table, dict):
            keys.update(table)
            if isinstance(preset := table.get("preset"), str):
                presets.add(preset)
    known = properties().keys() | common_schema()["properties"].keys()
    unknown = (keys - known) | (presets - registry.built_in().keys())
    return schema_of_all(frozenset(unknown)) if unknown else schema()


def check_against(instance: dict[str, Any], rules: Mapping[str, Any], where: str) -> Checked:
    """Check a table against any JSON schema with the keywords of config.schema.yaml and with
    ``x-parse``: a function that takes a text and raises ValueError with the mistake in it."""
    problems: dict[KeyPath, str] = {}
    for error in _validator_class()(rules).iter_errors(instance):
        base = tuple(error.absolute_path)
        for path, text in _explain(error, base):
            if path not in problems or error.validator == "type":
                problems[path] = text
    checked = Checked(instance)
    for path in sorted(problems, key=lambda path: _position(instance, path)):
        checked.problems.append(f"{where}{dotted(path)}: {problems[path]}")
        checked.removed.add(_setting(path))
    for path in checked.removed:
        checked.valid = _without(checked.valid, *path)
    return checked


def _without(table: dict[str, Any], key: str, *below: str) -> dict[str, Any]:
    """A copy of a table without the setting at this path; ``table`` itself stays as it is."""
    if below and key in table:
        return {**table, key: _without(table[key], *below)}
    return {other: value for other, value in table.items() if other != key}


def _setting(path: KeyPath) -> tuple[str, ...]:
    """The keys of the setting that ``path`` leads into: a list stands or falls as a whole."""
    keys: list[str] = []
    for key in path:
        if isinstance(key, int):
            break
        keys.append(key)
    return tuple(keys)


@cache
def _validator_class() -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend

    def size(validator: Any, expected: bool, instance: Any, rules: Any) -> Iterator[Any]:
        if isinstance(instance, str):
            try:
                fits = parse_size(instance) >= rules.get("minimum", 0)
            except ValueError:
                fits = False
            if not fits:
                yield ValidationError("not a size, or too small")

    def bandwidth(validator: Any, expected: bool, instance: Any, rules: Any) -> Iterator[Any]:
        if isinstance(instance, str):
            try:
                parse_bandwidth(instance)
            except ValueError as error:
                yield ValidationError(str(error))

    def parse(validator: Any, function: Any, instance: Any, rules: Any) -> Iterator[Any]:
        if isinstance(instance, str):
            try:
                function(instance)
            except ValueError as error:
                yield ValidationError(str(error))

    types = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ).redefine("number", lambda _, value: _is_finite(value))
    own = {"x-size": size, "x-bandwidth": bandwidth, "x-parse": parse}
    return extend(Draft202012Validator, own, type_checker=types)


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < float("inf")


def _explain(error: Any, base: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """The path of each mistake an error of jsonschema stands for, and what is wrong there."""
    if "propertyNames" in error.relative_schema_path:
        yield (*base, error.instance), f"not a valid name; allowed: {allowed(error.schema)}"
    elif error.validator == "additionalProperties":
        for key in error.instance:
            if key not in error.schema["properties"]:
                yield (*base, key), _unknown_key(key, error.schema)
    elif error.validator == "required":
        for key in error.schema["required"]:
            if key not in error.instance:
                rules = error.schema["properties"].get(key, {})
                yield (*base, key), rules.get("x-missing", f"missing; allowed: {allowed(rules)}")
    elif error.validator == "minProperties" and "x-missing" in error.schema:
        yield base, error.schema["x-missing"]
    elif error.validator == "x-parse" and error.message:
        yield base, error.message
    else:
        yield base, mistaken(error.instance, error.schema, wrong_type=error.validator == "type")


def _position(instance: Any, path: KeyPath) -> list[int]:
    """The position of ``path`` in the file, to sort problems by it. A missing key is last."""
    found: list[int] = []
    for key in path:
        if isinstance(instance, dict) and key in instance:
            found.append(list(instance).index(key))
            instance = instance[key]
        elif isinstance(instance, list) and isinstance(key, int):
            found.append(key)
            instance = instance[key]
        else:
            found.append(sys.maxsize)
            instance = None
    return found


def dotted(path: Sequence[str | int]) -> str:
    """The full name of a key as TOML would write it, with the place in a list in brackets."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", key) is not None
            text += ("." if text else "") + (key if bare else json.dumps(key))
    return text


def _unknown_key(key: str, rules: Mapping[str, Any]) -> str:
    """The message about a key that a table does not have. It never shows the value."""
    normal, siblings = key.lower().replace("-", "_"), rules["properties"]
    if _SECRET.search(normal):
        return (
            "unknown key; credentials come only from the AWS chain (profile, environment, SSO, "
            "role), never from this file"
        )
    if normal in rules.get("x-elsewhere", ()):
        return rules["x-elsewhere"][normal]
    names = {name: name for name in siblings}
    for name, below in siblings.items():
        names |= {leaf: f"{name}.{leaf}" for leaf in below.get("properties", ())}
    near = nearest(normal, names)
    if near is not None:
        return f'unknown key; did you mean "{names[near]}"?'
    return f"unknown key; allowed: {', '.join(siblings)}"


def mistaken(value: Any, rules: Mapping[str, Any], *, wrong_type: bool = False) -> str:
    """What is wrong with the value of a known key, what is allowed, and the nearest choice."""
    if wrong_type or not isinstance(value, str | int | float):
        return f"found {kind(value)}; allowed: {allowed(rules)}"
    shown = "this value" if rules.get("x-secret") else show(value)
    choices = rules.get("enum") or rules.get("examples", ())
    choices = [choice for choice in choices if isinstance(choice, str)]
    near = nearest(value, choices) if isinstance(value, str) else None
    hint = f' did you mean "{near}"?' if near is not None else ""
    return f"{shown} is not allowed;{hint} allowed: {allowed(rules)}"


def allowed(rules: Mapping[str, Any]) -> str:
    """What a schema allows, in words; the messages and the reference page share it."""
    if "x-allowed" in rules:
        return rules["x-allowed"]
    if "enum" in rules:
        return ", ".join(show(choice) for choice in rules["enum"])
    kinds = rules.get("type", "object")
    text = " or ".join(_KINDS[name] for name in ([kinds] if isinstance(kinds, str) else kinds))
    if "minimum" in rules and "maximum" in rules:
        return f"{text} from {rules['minimum']} to {rules['maximum']}"
    if "minimum" in rules:
        return f"{text}, at least {rules['minimum']}"
    return text


def kind(value: Any) -> str:
    """The kind of a TOML value, in words."""
    if isinstance(value, float) and not _is_finite(value):
        return "an infinite number or none"
    if isinstance(value, list | dict):
        name = "list" if isinstance(value, list) else "table"
        return f"a {name} of {len(value)}" if value else f"an empty {name}"
    for name, types in (
        ("true or false", bool),
        ("a whole number", int),
        ("a number", float),
        ("text", str),
    ):
        if isinstance(value, types):
            return name
    return "a date or time" if hasattr(value, "isoformat") else f"a {type(value).__name__}"


def toml(value: Any) -> str:
    """A text, number, list or empty table as TOML writes it."""
    return json.dumps(value, ensure_ascii=False)


def show(value: Any) -> str:
    """A value as TOML writes it, cut at 80 characters."""
    text = toml(value)
    return text if len(text) <= 80 else text[:77] + '..."'


def nearest(word: str, words: Sequence[str] | Mapping[str, Any]) -> str | None:
    """The one of ``words`` most like ``word``, or None when none is like it."""
    import difflib

    lowered = {choice.lower(): choice for choice in words}
    close = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[close[0]] if close else None
