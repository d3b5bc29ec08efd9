"""The ways out, over real sockets on loopback and real processes."""

from __future__ import annotations

import email.utils
import ipaddress
import json
import os
import signal
import socket
import ssl
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.sinks import OK, HttpSink, SmtpSink
from waybill import __version__
from waybill.notify import channels, post
from waybill.notify.channels import Command, DeliveryError, Hook, Mail
from waybill.notify.message import Item, Message
from waybill.notify.report import Dataset, Report

PATH = "/services/T0/B0/HUSHHUSH"
MESSAGE = Message(
    (
        Item(
            Report(
                "gut", "generic", "upload", "/data/ü", "s3://bucket/gut/", "/r/gut",
                files=2, bytes=9, datasets=(Dataset("gut", 1, 5, True),),
            ),
            ("success",),
        ),
    ),
    exit_code=0,
    host="node7",
    now=datetime(2026, 11, 21, 12, 30, tzinfo=UTC),
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def sink():
    with HttpSink() as running:
        yield running


def refusal(channel):
    """What a channel says that does not deliver."""
    with pytest.raises(DeliveryError) as caught:
        channel.send(MESSAGE)
    text = str(caught.value)
    assert "HUSH" not in text and "\n" not in text
    assert caught.value.__cause__ is None  # no error that holds an address goes along
    return text


def hook(sink, *, slack=False, limit=5.0):
    return Hook(sink.url(PATH), is_slack=slack, limit=limit)


def test_slack(sink):
    hook(sink, slack=True).send(MESSAGE)
    (posted,) = sink.posted
    assert (posted.method, posted.path) == ("POST", PATH)
    assert posted.headers["content-type"] == "application/json"
    assert posted.headers["user-agent"] == f"waybill/{__version__}"
    assert posted.text == MESSAGE.slack()["text"]


def test_json(sink):
    hook(sink).send(MESSAGE)
    assert [posted.json for posted in sink.posted] == [MESSAGE.document()]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((404, {}, b"no_service"), "answered 404 Not Found (no_service)"),
        ((400, {}, b"<p>HUSH</p>"), "answered 400 Bad Request"),
        ((499, {}, b""), "answered 499"),
    ],
)
def test_a_refusal_is_not_repeated(sink, answer, expected):
    sink.answers = [answer]
    assert refusal(hook(sink)) == expected
    assert len(sink.posted) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(sink, status):
    with HttpSink() as other:
        sink.answers = [(status, {"Location": other.url(PATH)}, b"")]
        assert refusal(hook(sink)).startswith(f"answered {status} ")
        assert refusal(hook(sink)).endswith(", a redirect, which is not followed")
        assert other.posted == []
    sink.answers = [(status, {"Location": f"file://{PATH}"}, b"")]
    assert refusal(hook(sink)).endswith(", a redirect, which is not followed")


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [(500, {}, 0.3), (503, {"Retry-After": "0"}, 0.0), (429, {"Retry-After": "1"}, 1.0)],
)
def test_a_server_in_trouble_is_asked_once_more(sink, monkeypatch, status, headers, seconds):
    monkeypatch.setattr(post, "RETRY_AFTER_SECONDS", 0.3)
    sink.answers = [(status, headers, b""), OK]
    hook(sink).send(MESSAGE)
    first, second = sink.posted
    assert first.body == second.body
    assert seconds <= second.time - first.time < seconds + 0.7


def test_a_retry_after_may_be_a_date(sink):
    when = datetime.now(UTC) + timedelta(seconds=2)
    sink.answers = [(503, {"Retry-After": email.utils.format_datetime(when, usegmt=True)}, b""), OK]
    hook(sink).send(MESSAGE)
    first, second = sink.posted
    assert 0.5 < second.time - first.time < 3


def test_a_server_that_stays_in_trouble(sink):
    sink.answers = [(500, {"Retry-After": "0"}, b"")]
    assert refusal(hook(sink)) == "answered 500 Internal Server Error"
    assert len(sink.posted) == 2


@pytest.mark.parametrize("given", ["60", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_long_wait_is_not_waited(sink, given):
    sink.answers = [(429, {"Retry-After": given}, b"")]
    begun = time.monotonic()
    expected = "answered 429 Too Many Requests, to be tried again after "
    assert refusal(hook(sink)).startswith(expected)
    assert len(sink.posted) == 1
    assert time.monotonic() - begun < 3


def test_a_silent_server(sink, monkeypatch):
    monkeypatch.setattr(channels, "ATTEMPT_SECONDS", 0.3)
    sink.answers = [30.0]
    begun = time.monotonic()
    assert refusal(hook(sink)) == "no answer in time"
    assert time.monotonic() - begun < 3
    assert len(sink.posted) == 1


def test_a_server_that_hangs_up(sink):
    sink.answers = [0.0]
    assert refusal(hook(sink)) == "Remote end closed connection without response"


def test_nobody_there():
    with HttpSink() as gone:
        url = gone.url(PATH)
    assert refusal(Hook(url, is_slack=True)) == "Connection refused"
    assert refusal(Hook(f"http://{'x' * 64}.invalid{PATH}", is_slack=True)) == "UnicodeError"


def test_the_proxy_of_the_environment_is_used(sink, monkeypatch):
    monkeypatch.setenv("http_proxy", sink.url("").rstrip("/"))
    Hook(f"http://hooks.invalid{PATH}", is_slack=True).send(MESSAGE)
    assert [posted.path for posted in sink.posted] == [f"http://hooks.invalid{PATH}"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate of 127.0.0.1, and its key: one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(built.public_bytes(pem) + key.private_bytes(pem, *plain))
    return path


@pytest.fixture
def context(certificate):
    """What a mail server needs to encrypt."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(certificate)
    return found


def mail(server, security="none", **settings):
    to = ("a@example.org", "b@example.org")
    return Mail("127.0.0.1", server.port, security, "w@example.org", to, **settings)


def test_a_mail():
    with SmtpSink() as server:
        mail(server).send(MESSAGE)
    (got,) = server.mails
    assert (got.sender, got.to) == ("w@example.org", ["a@example.org", "b@example.org"])
    assert (got.user, got.encrypted) == (None, False)
    headers = got.message
    assert headers["Subject"] == MESSAGE.subject()
    assert (headers["From"], headers["To"]) == ("w@example.org", "a@example.org, b@example.org")
    assert headers["Date"].datetime == MESSAGE.now
    assert headers["Message-ID"].endswith("@example.org>")
    assert headers["Auto-Submitted"] == "auto-generated"
    assert got.message.get_content() == MESSAGE.text()


@pytest.mark.parametrize("security", ["starttls", "ssl"])
def test_a_mail_over_an_encrypted_line(context, certificate, monkeypatch, security):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    users = {"waybill": "HUSH"}
    with SmtpSink(context, tls_at_once=security == "ssl", users=users) as server:
        mail(server, security, user="waybill", password="HUSH").send(MESSAGE)
    (got,) = server.mails
    assert (got.user, got.encrypted) == ("waybill", True)
    assert got.message.get_content() == MESSAGE.text()


@pytest.mark.parametrize("security", ["starttls", "ssl"])
def test_a_certificate_is_looked_at(context, security):
    with SmtpSink(context, tls_at_once=security == "ssl", users={"waybill": "HUSH"}) as server:
        text = refusal(mail(server, security, user="waybill", password="HUSH"))
        assert text.startswith(f"127.0.0.1:{server.port}: its certificate is not trusted: ")
    assert server.mails == []


def test_a_password_is_never_sent_in_the_clear():
    with SmtpSink(users={"waybill": "HUSH"}) as server:
        text = refusal(mail(server, "starttls", user="waybill", password="HUSH"))
        assert text == f"127.0.0.1:{server.port}: STARTTLS extension not supported by server."


def test_a_wrong_password(context, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with SmtpSink(context, users={"waybill": "other"}) as server:
        text = refusal(mail(server, "starttls", user="waybill", password="HUSH"))
        assert text == f"127.0.0.1:{server.port}: does not accept user and password (535)"


def test_a_server_that_takes_no_mail():
    with SmtpSink(users={"waybill": "HUSH"}) as server:
        text = refusal(mail(server))
        assert text == f"127.0.0.1:{server.port}: answered 530 5.7.0 log in first"


def test_unknown_recipients():
    with SmtpSink(refused={"a@example.org", "b@example.org"}) as server:
        expected = f"127.0.0.1:{server.port}: does not take mail for "
        assert refusal(mail(server)) == f"{expected}a@example.org, b@example.org"
        server.refused.remove("b@example.org")
        with pytest.raises(DeliveryError) as caught:
            mail(server).send(MESSAGE)
        assert str(caught.value) == f"{expected}a@example.org"
        assert caught.value.delivered
        assert [got.to for got in server.mails] == [["b@example.org"]]


def test_a_silent_mail_server(monkeypatch):
    monkeypatch.setattr(channels, "ATTEMPT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        address = Mail("127.0.0.1", port, "none", "w@example.org", ("a@example.org",))
        assert refusal(address) == f"127.0.0.1:{port}: Connection unexpectedly closed: timed out"


@pytest.fixture
def script(tmp_path):
    """A command of a test's own: Python text, as an argument vector."""

    def _script(text):
        path = tmp_path / "hook"
        path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{text}\n")
        path.chmod(0o755)
        return (str(path), "an argument", "$HOME")

    return _script


def test_a_command(script, tmp_path, capfd):
    out = tmp_path / "out.json"
    argv = script(
        f"got = [sys.argv[1:], json.load(sys.stdin), dict(os.environ)]\n"
        f"json.dump(got, open({str(out)!r}, 'w'))\n"
        "print('said\\x1b')\nprint('told', file=sys.stderr)"
    )
    Command(argv, 10.0).send(MESSAGE)
    arguments, document, environment = json.loads(out.read_text())
    assert arguments == ["an argument", "$HOME"]
    assert document == MESSAGE.document()
    assert environment.items() >= MESSAGE.environment().items()
    assert environment["PATH"] == os.environ["PATH"]
    shown = capfd.readouterr()
    assert (shown.out, sorted(shown.err.splitlines())) == ("", [r"hook: said\x1b", "hook: told"])


def test_what_a_command_leaves_running_holds_nobody_up(script, tmp_path):
    """It has none of the run's own streams, which a cron or a pipe would wait for."""
    pid = tmp_path / "pid"
    argv = script(
        "child = os.fork()\nif not child:\n    time.sleep(60)\n"
        f"open({str(pid)!r}, 'w').write(str(child))"
    )
    Command(argv, 10.0).send(MESSAGE)
    left = int(pid.read_text())
    assert not gone(left, seconds=0)
    for stream in ("fd/1", "fd/2"):
        mine = {Path(f"/proc/self/{own}").readlink() for own in ("fd/1", "fd/2")}
        assert Path(f"/proc/{left}/{stream}").readlink() not in mine
    os.kill(left, 9)


def test_a_command_from_home(script, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    script(f"open({str(tmp_path / 'out')!r}, 'w')")
    Command(("~/hook",), 10.0).send(MESSAGE)
    assert (tmp_path / "out").exists()


def test_a_command_that_does_not_read(script):
    long = replace(MESSAGE.items[0].report, source="x" * (1 << 20))
    Command(script("sys.stdin.close()"), 10.0).send(
        replace(MESSAGE, items=(Item(long, ("success",)),))
    )


def test_a_command_that_fails(script, tmp_path):
    argv = script("sys.exit(3)")
    assert refusal(Command(argv, 10.0)) == f"{argv[0]}: exit code 3"
    assert refusal(Command(("/nowhere/hook",), 10.0)) == "/nowhere/hook: No such file or directory"
    Path(argv[0]).chmod(0o644)
    assert refusal(Command(argv, 10.0)) == f"{argv[0]}: Permission denied"


@pytest.mark.parametrize(
    "first",
    [
        "",
        "signal.signal(15, signal.SIG_IGN)",
        "if not os.fork(): signal.signal(15, signal.SIG_IGN)",
    ],
)
def test_a_command_that_hangs_is_ended_with_all_it_started(script, tmp_path, monkeypatch, first):
    monkeypatch.setattr(channels, "_KILL_SECONDS", 0.3)
    pids = tmp_path / "pids"
    note = f"open({str(pids)!r}, 'a').write(f'{{os.getpid()}}\\n')"
    argv = script(f"import signal\n{first}\nos.fork()\n{note}\ntime.sleep(60)")
    begun = time.monotonic()
    assert refusal(Command(argv, 1.0)) == f"{argv[0]}: ended after 1 seconds (`command_timeout`)"
    assert time.monotonic() - begun < 5
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) in (2, 4)
    for pid in started:
        assert gone(pid)


def test_an_interrupt_ends_the_command(script, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    pid = tmp_path / "pid"
    argv = script(f"open({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)")
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            Command(argv, 30.0).send(MESSAGE)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert gone(int(pid.read_text()))


def gone(pid, seconds=5):
    """Whether a process ends within the time; one that nobody has waited for yet has."""
    for _ in range(1 + seconds * 20):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False
