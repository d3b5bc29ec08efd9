"""The ways out, over real sockets on loopback."""

from __future__ import annotations

import email.utils
import ipaddress
import os
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.sinks import OK, HttpSink, SmtpSink
from waybill import __version__
from waybill.notify import channels, post
from waybill.notify.channels import DeliveryError, Hook, Mail

PATH = "/services/T0/B0/HUSHHUSH"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def sink():
    with HttpSink() as running:
        yield running


def hook(sink, *, slack=False, limit=5.0):
    return Hook(sink.url(PATH), is_slack=slack, limit=limit)


def test_slack(sink, message):
    hook(sink, slack=True).send(message)
    (posted,) = sink.posted
    assert (posted.method, posted.path) == ("POST", PATH)
    assert posted.headers["content-type"] == "application/json"
    assert posted.headers["user-agent"] == f"waybill/{__version__}"
    assert posted.text == message.slack()["text"]


def test_json(sink, message):
    hook(sink).send(message)
    assert [posted.json for posted in sink.posted] == [message.document()]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((404, {}, b"no_service"), "answered 404 Not Found (no_service)"),
        ((400, {}, b"<p>HUSH</p>"), "answered 400 Bad Request"),
        ((499, {}, b""), "answered 499"),
    ],
)
def test_a_refusal_is_not_repeated(sink, answer, expected, refusal):
    sink.answers = [answer]
    assert refusal(hook(sink)) == expected
    assert len(sink.posted) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(sink, status, refusal):
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
def test_a_server_in_trouble_is_asked_once_more(
    sink, monkeypatch, status, headers, seconds, message
):
    monkeypatch.setattr(post, "RETRY_AFTER_SECONDS", 0.3)
    sink.answers = [(status, headers, b""), OK]
    hook(sink).send(message)
    first, second = sink.posted
    assert first.body == second.body
    assert seconds <= second.time - first.time < seconds + 0.7


def test_a_retry_after_may_be_a_date(sink, message):
    when = datetime.now(UTC) + timedelta(seconds=2)
    sink.answers = [(503, {"Retry-After": email.utils.format_datetime(when, usegmt=True)}, b""), OK]
    hook(sink).send(message)
    first, second = sink.posted
    assert 0.5 < second.time - first.time < 3


def test_a_server_that_stays_in_trouble(sink, refusal):
    sink.answers = [(500, {"Retry-After": "0"}, b"")]
    assert refusal(hook(sink)) == "answered 500 Internal Server Error"
    assert len(sink.posted) == 2


@pytest.mark.parametrize("given", ["60", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_long_wait_is_not_waited(sink, given, refusal):
    sink.answers = [(429, {"Retry-After": given}, b"")]
    begun = time.monotonic()
    expected = "answered 429 Too Many Requests, to be tried again after "
    assert refusal(hook(sink)).startswith(expected)
    assert len(sink.posted) == 1
    assert time.monotonic() - begun < 3


def test_a_silent_server(sink, monkeypatch, refusal):
    monkeypatch.setattr(channels, "ATTEMPT_SECONDS", 0.3)
    sink.answers = [30.0]
    begun = time.monotonic()
    assert refusal(hook(sink)) == "no answer in time"
    assert time.monotonic() - begun < 3
    assert len(sink.posted) == 1


def test_a_server_that_hangs_up(sink, refusal):
    sink.answers = [0.0]
    assert refusal(hook(sink)) == "Remote end closed connection without response"


def test_nobody_there(refusal):
    with HttpSink() as gone:
        url = gone.url(PATH)
    assert refusal(Hook(url, is_slack=True)) == "Connection refused"
    no_host = Hook(f"http://{'x' * 64}.invalid{PATH}", is_slack=True)
    assert refusal(no_host) == "its host name is not valid"


def test_the_proxy_of_the_environment_is_used(sink, monkeypatch, message):
    monkeypatch.setenv("http_proxy", sink.url("").rstrip("/"))
    Hook(f"http://hooks.invalid{PATH}", is_slack=True).send(message)
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


def test_a_mail(message):
    with SmtpSink() as server:
        mail(server).send(message)
    (got,) = server.mails
    assert (got.sender, got.to) == ("w@example.org", ["a@example.org", "b@example.org"])
    assert (got.user, got.encrypted) == (None, False)
    headers = got.message
    assert headers["Subject"] == message.subject()
    assert (headers["From"], headers["To"]) == ("w@example.org", "a@example.org, b@example.org")
    assert headers["Date"].datetime == message.now
    assert headers["Message-ID"].endswith("@example.org>")
    assert headers["Auto-Submitted"] == "auto-generated"
    assert got.message.get_content() == message.text()


@pytest.mark.parametrize("security", ["starttls", "ssl"])
def test_a_mail_over_an_encrypted_line(context, certificate, monkeypatch, security, message):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    users = {"waybill": "HUSH"}
    with SmtpSink(context, tls_at_once=security == "ssl", users=users) as server:
        mail(server, security, user="waybill", password="HUSH").send(message)
    (got,) = server.mails
    assert (got.user, got.encrypted) == ("waybill", True)
    assert got.message.get_content() == message.text()


@pytest.mark.parametrize("security", ["starttls", "ssl"])
def test_a_certificate_is_looked_at(context, security, refusal):
    with SmtpSink(context, tls_at_once=security == "ssl", users={"waybill": "HUSH"}) as server:
        text = refusal(mail(server, security, user="waybill", password="HUSH"))
        assert text.startswith(f"127.0.0.1:{server.port}: its certificate is not trusted: ")
    assert server.mails == []


def test_a_password_is_never_sent_in_the_clear(refusal):
    with SmtpSink(users={"waybill": "HUSH"}) as server:
        text = refusal(mail(server, "starttls", user="waybill", password="HUSH"))
        assert text == f"127.0.0.1:{server.port}: STARTTLS extension not supported by server."


def test_a_wrong_password(context, certificate, monkeypatch, refusal):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with SmtpSink(context, users={"waybill": "other"}) as server:
        text = refusal(mail(server, "starttls", user="waybill", password="HUSH"))
        assert text == f"127.0.0.1:{server.port}: does not accept user and password (535)"


def test_a_server_that_takes_no_mail(refusal):
    with SmtpSink(users={"waybill": "HUSH"}) as server:
        text = refusal(mail(server))
        assert text == f"127.0.0.1:{server.port}: answered 530 5.7.0 log in first"


def test_unknown_recipients(message, refusal):
    with SmtpSink(refused={"a@example.org", "b@example.org"}) as server:
        expected = f"127.0.0.1:{server.port}: does not take mail for "
        assert refusal(mail(server)) == f"{expected}a@example.org, b@example.org"
        server.refused.remove("b@example.org")
        with pytest.raises(DeliveryError) as caught:
            mail(server).send(message)
        assert str(caught.value) == f"{expected}a@example.org"
        assert caught.value.delivered
        assert [got.to for got in server.mails] == [["b@example.org"]]


def test_a_silent_mail_server(monkeypatch, refusal):
    monkeypatch.setattr(channels, "ATTEMPT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        address = Mail("127.0.0.1", port, "none", "w@example.org", ("a@example.org",))
        assert refusal(address) == f"127.0.0.1:{port}: Connection unexpectedly closed: timed out"
