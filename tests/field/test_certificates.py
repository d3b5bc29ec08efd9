"""B8: certificates of an authority of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.exceptions as be
import pytest

from support.engines import put
from support.jobs import ENGINES, LOGIN, Use, make
from support.server import S3Server
from support.tls import Authority, TlsFront
from support.transfers import transfer_of
from waybill.model.errors import WaybillError
from waybill.s3.bucket import Bucket
from waybill.s3.engine.native import NativeEngine
from waybill.s3.errors import explain


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return Authority(tmp_path)


@ENGINES
@pytest.mark.parametrize("how", ["REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "profile"])
def test_B8_both_engines_trust_whom_botocore_trusts(
    engine: str,
    how: str,
    authority: Authority,
    use: Use,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with TlsFront(s3.endpoint_url, authority) as front:
        use(front.url)
        settings: dict[str, Any] = {"engine": engine}
        transfer = transfer_of(tmp_path, bucket, "data/", timeout=10, **settings)
        with pytest.raises(WaybillError, match="is not trusted"):
            list(Bucket(transfer).list_prefix())
        with make(transfer) as stranger, pytest.raises(be.SSLError):
            put(stranger, b"x", key="data/never")
        if how == "profile":
            config = tmp_path / "aws"
            config.write_text(f"[profile lab]\nca_bundle = {authority.file}\n{LOGIN}")
            monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
            settings["profile"] = "lab"
        else:
            monkeypatch.setenv(how, str(authority.file))
        transfer = transfer_of(tmp_path, bucket, "data/", timeout=10, **settings)
        with make(transfer) as friend:
            assert isinstance(friend, NativeEngine) == (engine == "native")
            etag = put(friend, b"carried safely", key="data/a").etag
            assert friend.get_object("data/a", etag, 14).result(60)[1] == b"carried safely"
        assert [entry.path for entry in Bucket(transfer).list_prefix()] == ["a"]


@ENGINES
@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_B8_certificates_that_cannot_be_read_are_named(
    engine: str,
    content: str | None,
    authority: Authority,
    use: Use,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use("https://127.0.0.1:9")
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    transfer = transfer_of(tmp_path, "data", engine=engine, timeout=2)
    with pytest.raises(WaybillError) as found, make(transfer) as engine_made:
        try:
            put(engine_made, b"x")
        except be.BotoCoreError as error:
            raise explain(error, transfer) from None
    if content is None:
        assert str(bundle) in str(found.value)
        assert "REQUESTS_CA_BUNDLE" in str(found.value)
        assert found.value.exit_code == 2
    assert "\n" not in str(found.value)
