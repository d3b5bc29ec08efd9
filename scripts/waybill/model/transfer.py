"""One movement of data, every setting decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from waybill.model.bandwidth import Bandwidth
from waybill.model.selection import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One movement, every setting decided.

    ``source`` and ``destination`` are for people: the local one is an absolute path, the other an
    ``s3://`` address. Code uses ``folder`` (absolute), ``bucket`` and ``prefix`` (``""`` or
    ending in ``/``). ``settle`` and ``timeout`` are in seconds, ``max_bytes`` in bytes,
    ``max_bandwidth`` has bytes per second (None: no limit). ``publish_prefix`` is the full key
    prefix of published manifests, ending in ``/``; None means that none are published. ``folders``
    are the folders of a source that is a list. ``results`` is the folder of this transfer alone.
    For other settings, None means that the bucket or the AWS chain decides.

    ``preset_settings`` is the table named like the preset. The preset decides the fields after it:
    ``exclude_regexes`` are regular expressions of more paths that are left out, ``several`` means
    that the preset searches for datasets, ``tool`` is the name of the tool in manifests, and with
    ``manifest_copy`` a copy of each published manifest is kept in the folder.
    """

    name: str
    direction: Literal["upload", "download"]
    source: str
    destination: str
    folder: Path
    bucket: str
    prefix: str
    folders: tuple[Path, ...] = ()
    results: Path
    publish_prefix: str | None
    allow_git_worktree: bool = False
    preset: str = "generic"
    include: tuple[str, ...] = ("**",)
    exclude: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    compare: Literal["sha256", "size", "mtime"] = "sha256"
    symlinks: Literal["follow", "skip", "error"] = "follow"
    settle: float = 0
    overwrite: Literal["if-changed", "never", "always"] = "if-changed"
    max_files: int = 25_000
    max_bytes: int = 16 << 30
    one_job_per_batch: bool = False
    engine: Literal["auto", "boto3", "native", "crt"] = "auto"
    max_concurrency: int = 128
    max_bandwidth: Bandwidth | None = None
    timeout: float = 60
    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    anonymous: bool = False
    addressing_style: Literal["auto", "path", "virtual"] | None = None
    request_checksum_calculation: Literal["when_supported", "when_required"] = "when_supported"
    accelerate: bool | Literal["auto"] = "auto"
    expected_bucket_owner: str | None = None
    requester_pays: bool = False
    content_types: bool = True
    etag_is_md5: bool = True
    storage_class: str | None = None
    sse: str | None = None
    sse_kms_key_id: str | None = None
    acl: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    verify_depth: Literal["listing", "metadata", "content"] = "listing"
    verify_sample: tuple[int, int] = (1, 1)
    verify_against: Path | None = None
    notify: Notify | None = None
    preset_settings: Mapping[str, Any] = field(default_factory=dict)
    exclude_regexes: tuple[str, ...] = ()
    several: bool = False
    tool: str = "waybill"
    manifest_copy: bool = False

    @property
    def selection(self) -> Selection:
        """The include and exclude patterns, compiled; each call compiles, so keep the result."""
        return Selection(self.include, self.exclude, self.exclude_regexes)

    @property
    def threads(self) -> int:
        """How many threads of a job may wait for a disk or for botocore at one time; more threads
        would only slow each other down."""
        return min(self.max_concurrency, 16)

    @property
    def publishes(self) -> bool:
        """Whether manifests are put into the bucket, which only an upload does."""
        return self.direction == "upload" and self.publish_prefix is not None

    @property
    def url(self) -> str:
        """The S3 side, ``s3://bucket/prefix``."""
        return f"s3://{self.bucket}/{self.prefix}"

    def for_jobs(self) -> dict[str, Any]:
        """The settings for jobs, as values that JSON can hold, because Snakemake may hand its
        ``config`` on as text. ``notify`` is left out, because Snakemake writes these settings into
        a file, and the addresses in ``notify`` are secrets."""
        return _plain(asdict(replace(self, notify=None)))

    @classmethod
    def of_jobs(cls, settings: Mapping[str, Any]) -> Transfer:
        """The transfer whose settings ``for_jobs`` gave."""
        return cls(**{name: _FROM_PLAIN.get(name, _same)(v) for name, v in settings.items()})

    def for_dataset(self, folder: str, prefix: str) -> Transfer:
        """The transfer with the folder and the key prefix of one of its datasets."""
        if (folder, prefix) == (str(self.folder), self.prefix):
            return self
        names = [folder, f"s3://{self.bucket}/{prefix}"]
        upload = self.direction == "upload"
        return replace(
            self,
            folder=Path(folder),
            prefix=prefix,
            source=names[0 if upload else 1],
            destination=names[1 if upload else 0],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """The channels of one transfer. Addresses and ``smtp_password`` are as configured: literal,
    or ``$NAME``. ``command_timeout`` is in seconds."""

    on: tuple[Literal["success", "failure"], ...]
    slack_log_webhook: str | None = field(default=None, repr=False)
    slack_alert_webhook: str | None = field(default=None, repr=False)
    webhook: str | None = field(default=None, repr=False)
    command: tuple[str, ...] = field(default=(), repr=False)
    command_timeout: float
    email_to: tuple[str, ...] = ()
    email_from: str = ""
    smtp_host: str = ""
    smtp_port: int
    smtp_security: Literal["starttls", "ssl", "none"]
    smtp_user: str | None = None
    smtp_password: str | None = field(default=None, repr=False)


def _plain(value: Any) -> Any:
    """The value with each path as text and each tuple as a list."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _same(value: Any) -> Any:
    return value


# The fields of a Transfer that JSON has no type for.
_FROM_PLAIN: dict[str, Callable[[Any], Any]] = {
    "folder": Path,
    "folders": lambda names: tuple(map(Path, names)),
    "results": Path,
    "max_bandwidth": lambda value: value and Bandwidth(tuple(map(tuple, value[0]))),
    "verify_against": lambda name: None if name is None else Path(name),
    **dict.fromkeys(
        ("include", "exclude", "first", "last", "verify_sample", "exclude_regexes"), tuple
    ),
}
