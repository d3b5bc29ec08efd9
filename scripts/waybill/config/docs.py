"""Makes docs/configuration.md out of the configuration schema.

``python -m waybill.config.docs --write`` writes the page, ``--check`` (the default) only says
whether it is up to date: exit code 0 when it is, 1 when not. With ``--published`` the page has the
presets of other distributions too, for a page of your own (``--file``).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from waybill.config import check
from waybill.presets import registry
from waybill.system import generated

_INTRO = """\
<!-- Made from workflow/schemas/config.schema.yaml: python -m waybill.config.docs --write -->
# Configuration

One TOML file holds everything. `[transfers.NAME]` is one movement, named with letters, digits, `_`
and `-`; `[defaults]` holds settings that all transfers share, and knows the same keys.

```toml
[defaults]
profile = "lab"

[transfers.runs]
source = "/data/runs"
destination = "s3://our-bucket/runs/"
exclude = ["*.tmp"]

[transfers.gut]
preset = "hca"
source = "~/atlas/gut"
hca.atlas = "gut-v1"
```

Settings come from these places, and later ones win: the defaults below, those of the preset,
`[defaults]`, `[transfers.NAME]`, the command line. Tables are joined key by key; everything else,
lists too, is replaced. An unknown key, a wrong value or an impossible combination is refused, all
mistakes at once. So is a folder with a variable that is not set, and a place with a blank at either
end.

Two transfers of one direction are refused when their destinations are equal or nested: both could
write one name, and the second would replace the proven files of the first. This holds also when
only one of them is chosen. They are allowed when they cannot collide:

- the outer one excludes the folder of the inner one
- the patterns of the two cannot match one name (`*.tif` and `*.csv`, `/images/` and `/tables/`, or
  one excludes what the other includes)
- both are of preset `illumina`, and share `illumina.uploads`, where each run has one place, or have
  nested destinations that are not named like a run

Manifests have names of their own and may stand anywhere. A download may not write over files that
the run itself reads ([downloads.md](downloads.md#names)).
"""

_PATTERNS = """\
## Patterns

`include` and `exclude` hold the path of each file, relative to its dataset, against patterns:

| Pattern | Meaning |
|---|---|
| `*`, `?` | any characters, one character; neither crosses a `/` |
| `**` | any characters, over any number of folders |
| `[ab]`, `[!ab]` | one of these; none of these. `[*]` is a plain `*` |
| `name` | without a `/`: this file name, in any folder |
| `/name` | at the top of the dataset only |
| `a/b` | with a `/` inside: the whole path, from the top of the dataset |
| `name/` | a folder and everything below it, in any folder |

A file is taken when an include pattern matches it and no exclude pattern does. An exclude pattern
that matches a folder leaves out everything below it. Case matters, and names that start with a dot
are like others.
"""


def page(*, published: bool = False) -> str:
    """The text of docs/configuration.md that the schema asks for, with ``published`` also of the
    presets of other distributions. Raises ConfigError when one of these cannot be loaded."""
    schema = check.schema()
    if published:
        schema = check.schema_of_all(frozenset(registry.published()))
    keys = schema["$defs"]["settings"]["properties"]
    parts = [_INTRO]
    for group, title in schema["x-groups"].items():
        members = {key: rules for key, rules in keys.items() if rules["x-group"] == group}
        parts.append(f"## {title}\n\n" + "\n".join(_table(members)) + "\n")
        if group == "selection":
            parts.append(_PATTERNS)
    return "\n".join(parts)


def _table(members: Mapping[str, Any]) -> Iterator[str]:
    yield "| Key | Allowed | Default | Unit | Meaning |"
    yield "|---|---|---|---|---|"
    for key, rules in _rows(members):
        default = _code(check.toml(rules["default"])) if "default" in rules else ""
        cells = (
            f"`{key}`",
            _allowed(rules),
            default,
            rules.get("x-unit", ""),
            rules.get("description", ""),
        )
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _rows(members: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The keys a reader can set; a table with fixed keys is replaced by those."""
    for key, rules in members.items():
        if "properties" in rules:
            yield from ((f"{key}.{leaf}", below) for leaf, below in rules["properties"].items())
        else:
            yield key, rules


def _allowed(rules: Mapping[str, Any]) -> str:
    if "enum" in rules and "x-allowed" not in rules:
        return ", ".join(_code(check.toml(choice)) for choice in rules["enum"])
    return check.allowed(rules)


def _code(text: str) -> str:
    return f"`{text}`"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check or write the page; returns the exit code."""
    options = [("--published", "presets of others as well")]
    wanted = lambda given: page(published=given.published)  # noqa: E731
    return generated.main("waybill.config.docs", wanted, "configuration.md", arguments, options)


if __name__ == "__main__":
    sys.exit(main())
