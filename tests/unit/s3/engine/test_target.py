"""Where the native engine sends its requests and how it signs them: as botocore, or not at all."""

import datetime
import ipaddress
import socket
import subprocess
import sys
import time
from pathlib import Path

import botocore.exceptions as be
import botocore.session
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.engines import put, without_pauses
from support.transfers import transfer_of
from waybill.model.errors import EXIT_CONFIG, WaybillError
from waybill.s3.client import make_client
from waybill.s3.engine.base import UnsupportedError
from waybill.s3.engine.boto import BotoEngine
from waybill.s3.engine.choose import make_engine
from waybill.s3.engine.native import NativeEngine
from waybill.s3.engine.target import target


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def target_of(bucket, folder, *, accelerate=False, **settings):
    transfer = transfer_of(folder, bucket, **{"timeout": 1, **settings})
    session = botocore.session.get_session()
    client = make_client(transfer, accelerate=accelerate, session=session)
    return target(transfer, session, client)


@pytest.mark.parametrize(
    ("settings", "url", "path", "region"),
    [
        ({}, "https://my-data.s3.eu-west-1.amazonaws.com", "/", "eu-west-1"),
        ({"region": "us-east-1"}, "https://my-data.s3.amazonaws.com", "/", "us-east-1"),
        (
            {"addressing_style": "path"},
            "https://s3.eu-west-1.amazonaws.com",
            "/my-data/",
            "eu-west-1",
        ),
        ({"accelerate": True}, "https://my-data.s3-accelerate.amazonaws.com", "/", "eu-west-1"),
        ({"endpoint_url": "http://store:9000"}, "http://store:9000", "/my-data/", "eu-west-1"),
    ],
)
def test_requests_go_where_botocore_sends_them(tmp_path, settings, url, path, region):
    accelerate = settings.get("accelerate", False)
    found = target_of("my-data", tmp_path, **{**settings, "accelerate": accelerate})
    assert (found.url, found.path, found.region, found.service) == (url, path, region, "s3")
    assert Path(found.ca_file).exists()


def test_a_directory_bucket_is_for_botocore(tmp_path):
    """It is asked for a session first, which is not to be had here: nothing was sent either way."""
    with pytest.raises((UnsupportedError, WaybillError)):
        target_of("data--euw1-az1--x-s3", tmp_path)


def test_a_proxy_is_for_botocore(tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    engine = make_engine(transfer_of(tmp_path, "my-data"), accelerate=False)
    assert isinstance(engine, BotoEngine)
    for name in ("native", "crt"):  # which is what it was called before
        asked = f'engine = "{name}" cannot be used: there is a proxy on the way'
        with pytest.raises(WaybillError, match=asked) as caught:
            make_engine(transfer_of(tmp_path, "my-data", engine=name), accelerate=False)
        assert caught.value.exit_code == EXIT_CONFIG
    monkeypatch.setenv("no_proxy", "amazonaws.com")
    engine = make_engine(transfer_of(tmp_path, "my-data"), accelerate=False)
    assert isinstance(engine, NativeEngine)
    engine.close()


def test_no_credentials(tmp_path, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(WaybillError, match="no AWS credentials found"):
        make_engine(transfer_of(tmp_path, "my-data"), accelerate=False)


def test_credentials_are_those_of_the_moment(tmp_path, proxy, bucket, monkeypatch):
    """A login that is renewed in the middle of a job is used from the next request on."""
    for name, value in proxy.env().items():
        monkeypatch.setenv(name, value)
    config = tmp_path / "config"
    told = tmp_path / "told"
    told.write_text("0")
    script = tmp_path / "login.py"
    script.write_text(
        "import datetime, json, pathlib, sys\n"
        "told = pathlib.Path(sys.argv[1])\n"
        "n = int(told.read_text()) + 1\n"
        "told.write_text(str(n))\n"
        "life = datetime.timedelta(seconds=2 if n == 1 else 9000)\n"
        "end = datetime.datetime.now(datetime.UTC) + life\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'KEY{n}', 'SecretAccessKey': 's',"
        " 'SessionToken': f'token{n}', 'Expiration': end.isoformat()}))\n"
    )
    config.write_text(f"[profile login]\ncredential_process = {sys.executable} {script} {told}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    engine = make_engine(transfer_of(tmp_path, bucket, profile="login"), accelerate=False)
    assert isinstance(engine, NativeEngine)
    put(engine, b"x", key="first")
    time.sleep(2)
    put(engine, b"x", key="second")
    engine.close()
    sent = proxy.select(op="PutObject")
    names = [r.headers["authorization"].split("Credential=")[1].split("/")[0] for r in sent]
    tokens = [r.headers["x-amz-security-token"] for r in sent]
    assert names[-1] == "KEY" + tokens[-1].removeprefix("token")
    assert int(told.read_text()) >= 2


@pytest.fixture
def secure(tmp_path):
    """An S3 server with a certificate that nobody knows; its address and the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret, data = tmp_path / "server.pem", tmp_path / "server.key", tmp_path / "store"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (data / "safe-data").mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [Path(sys.executable).with_name("rclone"), "serve", "s3", "--addr", f"127.0.0.1:{port}",
         "--cert", pem, "--key", secret, "--auth-key", "AKID,secret", data],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.05)
        yield f"https://127.0.0.1:{port}", pem, data / "safe-data"
    finally:
        server.terminate()
        server.wait()


@pytest.mark.parametrize("kind", ["boto3", "native"])
def test_tls_trusts_whom_it_is_told_to(tmp_path, secure, monkeypatch, kind):
    """This server also checks the signature."""
    url, pem, store = secure
    without_pauses(monkeypatch)
    transfer = transfer_of(tmp_path, "safe-data", engine=kind, endpoint_url=url, timeout=10)
    data = b"carried safely"
    key = "a folder/ä+%20 name's (1)*~.bin"
    stranger = make_engine(transfer, accelerate=False)
    with pytest.raises(be.SSLError):
        put(stranger, data, key=key)
    stranger.close()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(pem))
    friend = make_engine(transfer, accelerate=False)
    etag = put(friend, data, key=key).etag
    assert friend.get_object(key, etag, len(data)).result(60)[1] == data
    assert (store / key).read_bytes() == data
    friend.close()
