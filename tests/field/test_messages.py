"""What is said when credentials, a server or a network are not as they should be: in one line, with
what to do, and without a secret."""

from __future__ import annotations

import os
import string
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import botocore.exceptions as be
import pytest
from doors import Door

from support.certificates import stranger
from support.proxy import Answer, Page, Proxy
from support.saying import MFA, WAYS, Aws, refusal
from support.transfers import transfer_of
from waybill.model.errors import EXIT_CONFIG, EXIT_FAILED
from waybill.s3.bucket import Bucket
from waybill.s3.errors import explain

# B7: credentials

COMPLETE = '{"Version": 1, "AccessKeyId": "AKIAHELPER0000000000", "SecretAccessKey": "s" '

HELPERS = {
    "fails": ("import sys; sys.exit('log in at the portal first')", "log in at the portal first"),
    "says nothing": ("raise SystemExit(3)", "cannot be read from"),
    "prints rubbish": ("print('<html>')", "JSONDecodeError"),
    "prints no text": (
        "import sys; sys.stdout.buffer.write(b'\\xff\\xfe{}')",
        "UnicodeDecodeError",
    ),
    "prints a list": ("print('[1]')", "AttributeError"),
    "prints half": ('print(\'{"Version": 1, "AccessKeyId": "A"}\')', "SecretAccessKey"),
    "another version": ("print('{\"Version\": 9}')", "Unsupported version"),
    "an odd end": (f'print(\'{COMPLETE}, "Expiration": "soon"}}\')', "soon"),
    "a key with a blank": (f"print('{COMPLETE}}}'.replace('AKIA', 'AK IA'))", "holds a blank"),
    "hangs": ("import time; time.sleep(60)", "more than 0.3 seconds"),
    "asks": ("input('Code: ')", "EOFError"),
}


@pytest.mark.parametrize("kind", HELPERS)
def test_B7_a_credential_process_that_fails_says_why(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, bucket: str, tmp_path: Path, kind: str
) -> None:
    program, words = HELPERS[kind]
    limit = 0.3 if kind == "hangs" else 60.0
    monkeypatch.setattr("waybill.s3.credentials.HELPER_SECONDS", limit)
    aws.helper(program)
    error = refusal(transfer_of(tmp_path, bucket, profile="x"))
    assert "the AWS credentials of profile 'x' cannot be read from" in str(error)
    assert words in str(error)
    assert "run again" in str(error)


def test_B7_a_credential_process_that_is_not_there_is_named(
    aws: Aws, bucket: str, tmp_path: Path
) -> None:
    aws.profiles("[profile x]\ncredential_process = /nowhere/login --now\n")
    error = refusal(transfer_of(tmp_path, bucket, profile="x"))
    assert "/nowhere/login: No such file or directory" in str(error)


CONFIGURATIONS = {
    "a broken file": ("[profile x\nregion", "cannot be read as a configuration of AWS"),
    "no text": (b"[profile x]\nregion = \xff\n", "cannot be read as a configuration of AWS"),
    "a loop": (
        "[profile x]\nrole_arn = a\nsource_profile = y\n"
        "[profile y]\nrole_arn = b\nsource_profile = x\n",
        "the AWS configuration cannot be used",
    ),
    "no source": ("[profile x]\nrole_arn = a\nsource_profile = y\n", '"y"'),
    "no login": (
        "[profile x]\nsso_start_url = https://sso.invalid\nsso_region = us-east-1\n"
        "sso_account_id = 1\nsso_role_name = r\n",
        "the AWS login of profile 'x' has expired or cannot be read",
    ),
    "a half": ("[profile x]\naws_access_key_id = AKIAHALF000000000000\n", "are not whole"),
    "an odd region": (
        "[profile x]\nregion = no region!\naws_access_key_id = a\naws_secret_access_key = b\n",
        "is no name of a region",
    ),
    "odd retries": (
        "[profile x]\nretry_mode = never\naws_access_key_id = a\naws_secret_access_key = b\n",
        "",
    ),
}


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_B7_a_broken_configuration_of_aws_is_named(
    aws: Aws, bucket: str, tmp_path: Path, kind: str
) -> None:
    text, words = CONFIGURATIONS[kind]
    aws.profiles(text)
    aws.set(AWS_DEFAULT_REGION=None, AWS_REGION=None)
    if not words:  # Waybill has its own setting in the place of this one
        aws.set(AWS_DEFAULT_REGION="us-east-1")
        assert list(Bucket(transfer_of(tmp_path, bucket, profile="x")).list_prefix()) == []
        return
    error = refusal(transfer_of(tmp_path, bucket, profile="x"))
    assert words in str(error)
    if kind in ("a broken file", "no text"):
        assert str(aws.config) in str(error)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"AWS_CREDENTIAL_EXPIRATION": "2020-01-02T03:04:05Z"},
            "the AWS credentials ended at 2020-01-02T03:04:05.000Z; renew them and run again",
        ),
        ({"AWS_CREDENTIAL_EXPIRATION": "soon"}, "cannot be read from"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY is missing"),
        ({"AWS_DEFAULT_REGION": "no region!"}, "'no region!' is no name of a region"),
        ({"AWS_PROFILE": "nope"}, "AWS profile 'nope' (AWS_PROFILE) is not configured"),
        ({"AWS_CA_BUNDLE": "/nowhere/ca.pem"}, "correct AWS_CA_BUNDLE"),
        ({"AWS_ENDPOINT_URL": "http:/one-slash"}, "correct `endpoint_url`"),
    ],
)
def test_B7_what_the_environment_has_wrong_is_named(
    aws: Aws, bucket: str, tmp_path: Path, way: str, variables: dict[str, str], words: str
) -> None:
    aws.set(**variables)
    error = refusal(transfer_of(tmp_path, bucket), way)
    assert words in str(error)
    assert str(error).removeprefix("list ").startswith(f"s3://{bucket}/: ")


def test_B7_an_end_without_a_zone_is_one_in_utc(aws: Aws, bucket: str, tmp_path: Path) -> None:
    aws.set(AWS_CREDENTIAL_EXPIRATION="2099-01-02 03:04:05")
    assert list(Bucket(transfer_of(tmp_path, bucket)).list_prefix()) == []


@pytest.mark.parametrize("way", WAYS)
def test_B7_a_one_time_code_is_asked_for_nowhere(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, bucket: str, tmp_path: Path, way: str
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda *_: pytest.fail("somebody is asked"))
    aws.profiles(MFA)
    error = refusal(transfer_of(tmp_path, bucket, profile="x"), way)
    assert (error.exit_code, error.lasting) == (EXIT_FAILED, True)
    assert "profile 'x' wants a one-time code (mfa_serial)" in str(error)
    assert "aws configure export-credentials --profile x --format env" in str(error)
    assert "leave out `profile`" in str(error)
    aws.set(AWS_PROFILE="x")
    assert "leave out" not in str(refusal(transfer_of(tmp_path, bucket), way))


def test_B7_a_command_on_a_terminal_does_not_wait_for_a_code(door: Door, tmp_path: Path) -> None:
    door.write("a.bin")
    (tmp_path / "aws").write_text(MFA)
    (tmp_path / "config.toml").write_text(
        f'[transfers.data]\nsource = "{door.data}"\ndestination = "s3://{door.bucket}/data/"\n'
    )
    own = {
        "AWS_CONFIG_FILE": str(tmp_path / "aws"), "AWS_PROFILE": "x",
        "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
    }  # fmt: skip
    arguments = ("run", "--config", str(tmp_path / "config.toml"))
    with door.talk(*arguments, command="main", cwd=tmp_path, **own) as talk:
        said = talk.end(1).out
    assert "profile 'x' wants a one-time code (mfa_serial)" in said
    assert "Enter MFA code" not in said


# A job on a terminal, in a process group that is not in the foreground, as under ``waybill``.
ON_TERMINAL = """\
import os, sys
os.setpgid(0, 0)
from waybill.stages import job
job._leave_terminal()
try:
    open("/dev/tty")
except OSError as error:
    print("no terminal:", error.strerror)
print("read", repr(sys.stdin.readline()))
"""


def test_B7_a_job_reads_from_no_terminal(door: Door, tmp_path: Path) -> None:
    import pty

    pid, terminal = pty.fork()
    if pid == 0:  # this process leads the session; the job is its child, as in life
        os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
        os._exit(os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", ON_TERMINAL]))
    shown = b""
    try:
        while block := os.read(terminal, 4096):
            shown += block
    except OSError:  # the other end has gone
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    assert shown.decode().splitlines() == ["no terminal: No such device or address", "read ''"]


# Every error of the SDK

CLASSES = [
    kind
    for kind in vars(be).values()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and not issubclass(kind, Warning)
    and kind.__module__ == be.__name__
]


def _fields(kind: type[Exception]) -> Iterable[tuple[Any, ...]]:
    return string.Formatter().parse(getattr(kind, "fmt", ""))


def made(kind: type[Exception]) -> Exception:
    """An error of a class, each of its fields a text."""
    if issubclass(kind, be.ClientError):
        told = {"Error": {"Code": "Odd", "Message": "says\nS3"}}
        return kind(told, "GetObject")  # type: ignore[arg-type]
    names = [name for _, name, _, _ in _fields(kind) if name]
    given: dict[str, Any] = {name: f"{name}\nmore" for name in names}
    if "error" in names or issubclass(kind, be.EndpointConnectionError | be.SSLError):
        given["error"] = OSError("no")
    if kind is be.WaiterError:
        given["last_response"] = {}
    return kind(**given)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_B7_every_error_of_the_sdk_has_words(tmp_path: Path, kind: type[Exception]) -> None:
    error = explain(made(kind), transfer_of(tmp_path, "bucket"))
    text = str(error)
    assert text.startswith("s3://bucket/: ")
    assert "\n" not in text
    assert "unexpected" not in text
    assert not issubclass(kind, be.BotoCoreError) or ";" in text, "what to do is not said"
    assert error.exit_code in (EXIT_FAILED, EXIT_CONFIG)


def test_B7_only_errors_of_boto3_itself_share_the_last_words(tmp_path: Path) -> None:
    """What a user, a machine or a network can cause has words of its own."""
    transfer = transfer_of(tmp_path, "bucket")
    own = {k.__name__ for k in CLASSES if "boto3 cannot go on" in str(explain(made(k), transfer))}
    assert own <= {
        "BotoCoreError", "PaginationError", "OperationNotPageableError", "WaiterError",
        "InvalidExpressionError", "WaiterConfigError", "UnknownClientMethodError",
        "StubResponseError", "StubAssertionError", "UnStubbedResponseError",
    }  # fmt: skip


# C7: servers


PAGES: dict[str, Callable[[], Answer]] = {
    "a page": Page,
    "not found": lambda: Page(404, message="404 Not Found"),
    "not allowed": lambda: Page(405, message="Method Not Allowed"),
    "a login elsewhere": lambda: Page(302, headers={"Location": "https://login.invalid/a?b"}),
    "XHTML": lambda: Page(404, message="<br/>gone"),
}


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("way", WAYS)
def test_C7_a_web_page_is_no_answer_of_s3(
    aws: Aws, proxy: Proxy, bucket: str, tmp_path: Path, way: str, kind: str
) -> None:
    proxy.fault(PAGES[kind]())
    text = str(refusal(transfer_of(tmp_path, bucket), way))
    if way == "list":
        assert "check `endpoint_url`" in text
    words = ("none of S3", "no S3 listing", "not one of S3", "sends its requests on to")
    assert any(each in text for each in words), text


KMS = (
    "User: arn:aws:iam::123456789012:user/ana is not authorized to perform: kms:GenerateDataKey on"
    " resource: arn:aws:kms:eu-central-1:123456789012:key/1 because no identity-based policy allows"
    " the kms:GenerateDataKey action"
)


@pytest.mark.parametrize("way", ["boto3", "native"])
def test_C7_the_sentence_about_kms_is_kept(
    aws: Aws, proxy: Proxy, bucket: str, tmp_path: Path, way: str
) -> None:
    denied = proxy.fault(Answer(403, "AccessDenied", KMS))
    text = str(refusal(transfer_of(tmp_path, bucket), way))
    assert f"access denied to PutObject: {KMS}; ask for the permission" in text
    proxy.faults.remove(denied)
    proxy.fault(Answer(400, "KMS.DisabledException", "key/1 is disabled."))
    error = refusal(transfer_of(tmp_path, bucket), way)
    assert "PutObject failed with KMS.DisabledException: key/1 is disabled; see to" in str(error)
    assert error.lasting


def test_C7_a_plain_denial_is_not_said_twice(
    aws: Aws, proxy: Proxy, bucket: str, tmp_path: Path
) -> None:
    proxy.fault(Answer(403, "AccessDenied", "Access Denied"))
    text = str(refusal(transfer_of(tmp_path, bucket)))
    assert "access denied to ListObjectsV2; ask for the permission" in text


@pytest.mark.parametrize("way", WAYS)
def test_C7_a_certificate_that_is_not_trusted_is_called_so(
    aws: Aws, bucket: str, tmp_path: Path, way: str
) -> None:
    with stranger(tmp_path) as url:
        error = refusal(transfer_of(tmp_path, bucket, endpoint_url=url), way)
        plain = refusal(
            transfer_of(tmp_path, bucket, endpoint_url=url.replace("https", "http"), timeout=2), way
        )
    assert f"the certificate of {url} is not trusted (self" in str(error)
    assert "AWS_CA_BUNDLE" in str(error)
    assert error.lasting
    assert "check" in str(plain)


@pytest.mark.parametrize("way", WAYS)
def test_C7_https_to_a_server_without_it_is_called_so(
    aws: Aws, proxy: Proxy, bucket: str, tmp_path: Path, way: str
) -> None:
    url = proxy.endpoint_url.replace("http", "https")
    text = str(refusal(transfer_of(tmp_path, bucket, endpoint_url=url), way))
    assert f"no TLS connection with {url}" in text
    assert "check whether `endpoint_url` is http:// or https://" in text
    proxy.errors.clear()
