"""What a bucket lets this user do, asked without writing: one page of one key, one HEAD.

Credentials are named by their provider in the AWS chain; no key and no token gets into a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import botocore.exceptions as be
import botocore.session

from waybill.cli.doctor.rows import Row, Verdict
from waybill.model.errors import WaybillError
from waybill.model.times import utc
from waybill.s3 import credentials, permissions
from waybill.s3.causes import host_of
from waybill.s3.client import common_arguments, make_client
from waybill.s3.errors import DENIED, error_code, explain, is_missing
from waybill.s3.listing import list_after

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

TIMEOUT_SECONDS = 10  # for a connection, and for an answer
ATTEMPTS = 2
FAR_OFF = timedelta(minutes=15)  # S3 refuses requests from there on (RequestTimeTooSkewed)
OFF = timedelta(minutes=1)
NIGHT = timedelta(hours=12)

# Providers of the AWS chain whose credentials end with nobody to renew them.
_FIXED = {"env", "shared-credentials-file", "config-file"}
# In which tools that log people in leave the end of the credentials they write into a profile.
_NOTED_ENDS = ("x_security_token_expires", "aws_expiration", "expiration")


@dataclass(slots=True)
class Answers:
    """The last answer of a server: its headers, and when it came by the clock of this machine."""

    headers: dict[str, str] = field(default_factory=dict)
    came: datetime | None = None

    def note(self, http_response: Any, **_: object) -> None:
        """botocore hook ``after-call``: note an answer, of an error too."""
        self.came = datetime.now(UTC)
        self.headers = {str(k).lower(): str(v) for k, v in http_response.headers.items()}


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is known of the credentials of a transfer, without themselves. ``ends`` is None when
    nothing tells the end."""

    provider: str
    profile: str | None
    temporary: bool
    ends: datetime | None


def check(transfer: Transfer) -> Iterator[Row]:
    """The rows about the S3 side of a transfer. Nothing is asked without credentials."""
    transfer = replace(transfer, timeout=min(transfer.timeout, TIMEOUT_SECONDS))
    session = botocore.session.Session()
    if transfer.profile:
        session.set_config_variable("profile", transfer.profile)
    if transfer.anonymous:
        yield Row("credentials", Verdict.OK, "none are used (anonymous = true)")
        yield from _reached(transfer, session)
        return
    try:
        credentials.guard(session)
        found = _credentials(session)
    except _CodeWanted as wanted:
        yield code_wanted(wanted.profile)
        return
    except (be.BotoCoreError, be.ClientError) as error:
        yield _row("credentials", explain(error, transfer), transfer)
        return
    yield provider(found)
    end = ends(found, datetime.now(UTC))
    yield end
    if found.provider == "env" and end.verdict is Verdict.FAIL:  # botocore refuses to sign
        yield Row("bucket", Verdict.UNTOLD, "was not asked: the credentials have ended")
        return
    yield from _reached(transfer, session)


def _reached(transfer: Transfer, session: botocore.session.Session) -> Iterator[Row]:
    """The rows about the bucket itself."""
    try:
        client = make_client(transfer, session=session, attempts=ATTEMPTS)
    except WaybillError as error:
        yield _row("client", error, transfer)
        return
    yield from _ask(client, transfer)


def _ask(client: Any, transfer: Transfer) -> Iterator[Row]:
    answers = Answers()
    client.meta.events.register("after-call.s3", answers.note)
    where = host_of(client.meta.endpoint_url)
    request = {**common_arguments(transfer), "MaxKeys": 1}
    refused = None
    first = None
    try:
        first = next(list_after(client, transfer, transfer.prefix, request), None)
    except WaybillError as error:
        refused = error
    if answers.came is None:
        yield _row("reach", refused or WaybillError("no request was sent"), transfer)
        limit = f"{ATTEMPTS} attempts of at most {TIMEOUT_SECONDS} s"
        yield Row("bucket", Verdict.UNTOLD, f"was not asked: {where} gave no answer to {limit}")
        return
    yield Row("reach", Verdict.OK, f"{where} answers")
    yield clock(answers.headers.get("date"), answers.came)
    told = answers.headers.get("x-amz-bucket-region")
    yield region(told, client.meta.region_name, where, works=refused is None)
    if refused is not None:
        yield _row("right to list", refused, transfer)
        return
    yield Row("right to list", Verdict.OK, f"{transfer.url}")
    yield _read(client, transfer, None if first is None else transfer.prefix + first.path)
    if transfer.direction == "upload":
        yield write(transfer)


def _read(client: Any, transfer: Transfer, key: str | None) -> Row:
    """The row about the right to read: one HEAD of an object that the listing has told."""
    check = "right to read"
    if key is None:
        return Row(check, Verdict.UNTOLD, f"there is no object under {transfer.url} to ask for")
    what = f"s3://{transfer.bucket}/{key}"
    try:
        client.head_object(Key=key, **common_arguments(transfer))
    except be.ClientError as error:
        if is_missing(error):
            return Row(check, Verdict.UNTOLD, f"{what} went away meanwhile")
        found = _row(check, explain(error, transfer, what=what), transfer)
        upload = transfer.direction == "upload" and error_code(error) in DENIED
        # An upload asks for an object only to compare it with a file.
        return replace(found, verdict=Verdict.WARN) if upload else found
    except be.BotoCoreError as error:
        return _row(check, explain(error, transfer, what=what), transfer)
    return Row(check, Verdict.OK, what)


class _CodeWanted(Exception):
    """botocore would ask the terminal for a code of a second factor."""

    def __init__(self, profile: str) -> None:
        super().__init__(profile)
        self.profile = profile


def _credentials(session: botocore.session.Session) -> Credentials:
    """What is known of the credentials that a session finds; roles are assumed for it.

    Raises _CodeWanted, and the errors of botocore.
    """
    found = session.get_credentials()
    if found is None:
        raise be.NoCredentialsError()
    profile = session.profile
    if found.method == "assume-role":
        profiles = session.full_config.get("profiles", {})
        if wanting := asks_for_code(profiles, profile or "default"):
            raise _CodeWanted(wanting)
    end = _end(found)
    if found.method in _FIXED and end is not None and end <= datetime.now(UTC):
        return Credentials(found.method, profile, True, end)
    temporary = found.get_frozen_credentials().token is not None  # assumes a role, if it is one
    end = _end(found)
    if end is None and found.method in _FIXED - {"env"}:
        end = noted_end(session.get_scoped_config())
    return Credentials(found.method, profile, temporary, end)


def _end(found: Any) -> datetime | None:
    """When credentials of botocore end. It tells that in no public attribute; without this one the
    end is not told."""
    return getattr(found, "_expiry_time", None)


def asks_for_code(profiles: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    """The first profile on the way from ``name`` to its source whose role wants a code
    (``mfa_serial``), which botocore reads from a terminal; None when there is none."""
    seen: set[str] = set()
    while name in profiles and name not in seen:
        seen.add(name)
        profile = profiles[name]
        if "role_arn" in profile and "mfa_serial" in profile:
            return name
        name = str(profile.get("source_profile", ""))
    return None


def noted_end(profile: Mapping[str, Any]) -> datetime | None:
    """The end of the credentials of a profile, as a tool has noted it there; None without a note,
    or with one that is no time."""
    for key in _NOTED_ENDS:
        try:
            end = datetime.fromisoformat(str(profile[key]).strip())
        except (KeyError, ValueError):
            continue
        return end if end.tzinfo else end.replace(tzinfo=UTC)
    return None


# The rows


def provider(found: Credentials) -> Row:
    """The row that names the provider of the credentials."""
    of = f", profile {found.profile}" if found.profile and found.provider != "env" else ""
    return Row("credentials", Verdict.OK, f"found by provider {found.provider}{of}")


def code_wanted(profile: str) -> Row:
    """The row about a profile that asks a person in each process, jobs included."""
    return Row(
        "credentials",
        Verdict.FAIL,
        f"profile {profile} asks for an MFA code (mfa_serial) in each job; nobody answers there",
        "get temporary credentials (aws sts get-session-token) into a profile, and set `profile`",
    )


def ends(found: Credentials, now: datetime) -> Row:
    """The row about the end of the credentials."""
    check = "credentials end"
    if found.provider not in _FIXED:
        text = f"provider {found.provider} renews them as long as its login lasts"
        if found.ends is not None:
            text = f"{utc(found.ends)}; {text}"
        return Row(check, Verdict.OK, text)
    if found.ends is None:
        if found.temporary:
            advice = "see when they were made; for a long run take SSO or a role"
            text = "they are temporary, and nothing says until when"
            return Row(check, Verdict.UNTOLD, text, advice)
        return Row(check, Verdict.OK, "never: they are no temporary ones")
    left = found.ends - now
    if left <= timedelta(0):
        return Row(check, Verdict.FAIL, f"ended at {utc(found.ends)}", "renew them")
    text = f"{utc(found.ends)}, in {span(left)}"
    if left < NIGHT:
        return Row(check, Verdict.WARN, text, "renew them before a run that takes longer")
    return Row(check, Verdict.OK, text)


def clock(date: str | None, came: datetime) -> Row:
    """The row about this machine's clock; ``date`` is the server's header of an answer that came
    at ``came``, by this clock."""
    try:
        there = None if date is None else parsedate_to_datetime(date)
    except ValueError:
        there = None
    if there is None:
        return Row("clock", Verdict.UNTOLD, "the server tells no time (header Date)")
    off = came - (there if there.tzinfo else there.replace(tzinfo=UTC))
    way = "ahead of" if off > timedelta(0) else "behind"
    text = f"{span(abs(off))} {way} the server's"
    advice = "set the clock of this machine, for example with chrony"
    if abs(off) >= FAR_OFF:
        return Row("clock", Verdict.FAIL, f"{text}; S3 refuses requests from 15 min on", advice)
    if abs(off) > OFF:
        return Row("clock", Verdict.WARN, text, advice)
    return Row("clock", Verdict.OK, "within a minute of the server's")


def region(told: str | None, asked: str | None, where: str, *, works: bool) -> Row:
    """The row about the bucket's region, which the server tells (``x-amz-bucket-region``);
    ``works`` says whether the bucket could be listed all the same."""
    if told is None:
        return Row("region", Verdict.UNTOLD, f"{where} names none; asked in {asked}")
    if told in (asked, "") or (asked == "aws-global" and told == "us-east-1"):
        return Row("region", Verdict.OK, f"{told}")
    text = f"the bucket is in {told}, asked in {asked}"
    if works:
        text += "; requests are sent on, which takes time"
    return Row("region", Verdict.WARN if works else Verdict.FAIL, text, f'set region = "{told}"')


def write(transfer: Transfer) -> Row:
    """The row about the rights that only a write could tell."""
    text = "cannot be told without writing"
    rights = ", ".join(permissions.writing(transfer))
    return Row("right to write", Verdict.UNTOLD, text, f"an upload needs {rights}")


def span(time: timedelta) -> str:
    """A span of time for people, in its two largest units: ``3 h 20 min``."""
    seconds = int(time.total_seconds())
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts = []
    for name, size in units:
        number, seconds = divmod(seconds, size)
        parts.append((number, name))
    while len(parts) > 1 and not parts[0][0]:
        del parts[0]
    return " ".join(f"{number} {name}" for number, name in parts[:2] if number) or "0 s"


def _row(check: str, error: WaybillError, transfer: Transfer) -> Row:
    """The row about an error of S3: its line, cut into what was found and what to do."""
    text = str(error)
    for where in (f"list {transfer.url}: ", f"{transfer.url}: "):
        text = text.removeprefix(where)
    found, _, advice = text.rpartition("; ")
    return Row(check, Verdict.FAIL, found or advice, advice if found else "")
