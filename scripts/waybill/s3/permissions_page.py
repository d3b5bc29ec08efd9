"""Makes docs/permissions.md out of ``s3.permissions``.

``python -m waybill.s3.permissions_page --write`` writes the page, ``--check`` (the default) only
says whether it is up to date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Sequence

from waybill.s3.permissions import NEEDS, Extra, On, Task, policy
from waybill.system import generated

_INTRO = """\
<!-- Made from scripts/waybill/s3/permissions.py: python -m waybill.s3.permissions_page --write -->
# Permissions

These are the least IAM policies for each task, as JSON to paste. Replace the words in capitals:

| word | by |
|---|---|
| `BUCKET` | the name of the bucket |
| `PREFIX` | the prefix of the transfer, without the slash at its end |
| `arn:aws:kms:REGION:ACCOUNT:key/KEY` | the ARN of the KMS key, only where a policy has it |

Waybill never deletes, never makes or changes a bucket, and asks for no right to. It restores no
archived objects either: a download names them, and whoever restores them needs `s3:RestoreObject`
themselves.

The condition `s3:prefix` lets a user list the prefix and nothing beside it. For a transfer to the
whole bucket leave it out, and `PREFIX/` too. Manifests are published below the prefix, unless
`publish` says otherwise: for `publish = "../manifests/"` (the presets `hca` and `glacier`) add that
prefix to `Resource` and to `s3:prefix` as a second element of a list.

A test replays the requests of real transfers with both engines against this table and these
policies: it fails when a request has no permission here, and when a permission is used by no
request.

"""

_TITLES = {
    Task.UPLOAD: ("Upload", "An upload, with its manifests. `status` and `find` need nothing."),
    Task.DOWNLOAD: ("Download", ""),
    Task.VERIFY: (
        "Verify",
        "`snakemake verify` at every depth. Depth `listing` needs `s3:ListBucket` alone.",
    ),
    Task.DOCTOR: ("Doctor", "`waybill doctor` writes nothing; it looks at one object."),
    Task.PROBE: (
        "Probe",
        "`waybill probe` ([stores.md](stores.md)). A row whose permission is missing is answered"
        " with `-`.",
    ),
    Task.PT5: (
        "pt5-uploader --validate",
        "Only where no bucket is named; else it lists the prefix.",
    ),
}

_KMS = """\
The data are encrypted with a KMS key when `sse = "aws:kms"` is set, or when the bucket does so by
default. The policy of the key itself must admit IAM policies.

"""

_EXTRAS = {
    Extra.TAGS: "With the setting `tags`:",
    Extra.ACL: "With the setting `acl`:",
    Extra.ACCELERATE: "With Transfer Acceleration, which is not used without it (all three tasks):",
}


def page() -> str:
    """The text of the page."""
    return "".join(_parts())


def _parts() -> Iterator[str]:
    yield _INTRO
    for task, (title, text) in _TITLES.items():
        yield f"## {title}\n\n"
        if text:
            yield f"{text}\n\n"
        yield _json(task)
        if any(need.extra is Extra.KMS and task in need.tasks for need in NEEDS):
            yield f"\nWith KMS:\n\n{_json(task, [Extra.KMS])}"
        yield "\n"
    yield "## More\n\n"
    yield _KMS
    for extra, text in _EXTRAS.items():
        yield f"{text}\n\n{_json(Task.UPLOAD, [extra])}\n"
    yield from _table()


def _json(task: Task, extras: Collection[Extra] = ()) -> str:
    return f"```json\n{json.dumps(policy(task, extras), indent=2)}\n```\n"


def _table() -> Iterator[str]:
    yield "## Every request\n\n"
    yield "| request | permission | on | for | why |\n|---|---|---|---|---|\n"
    for need in NEEDS:
        tasks = ", ".join(task for task in Task if task in need.tasks)
        if need.extra:
            tasks += f"; with {need.extra}"
        on = "the bucket" if need.on is On.PREFIX else need.on
        yield f"| {need.operation} | `{need.action}` | {on} | {tasks} | {need.why} |\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check or write the page; returns the exit code."""
    return generated.main(
        "waybill.s3.permissions_page", lambda _: page(), "permissions.md", arguments
    )


if __name__ == "__main__":
    sys.exit(main())
