"""Transfer Acceleration is used only where the bucket has it."""

import pytest
from botocore.stub import Stubber

from waybill.config.read import load
from waybill.model.errors import WaybillError
from waybill.s3.bucket import Bucket


@pytest.fixture
def control(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)

    def make(bucket="a-bucket", **settings):
        lines = "".join(f"{k} = {v}\n" for k, v in settings.items())
        (tmp_path / "c.toml").write_text(
            f'[transfers.t]\nsource = "{tmp_path}"\ndestination = "s3://{bucket}/p"\n'
            f'region = "us-east-1"\n{lines}'
        )
        return Bucket(load(tmp_path / "c.toml")["t"])

    return make


@pytest.mark.parametrize(
    ("answer", "expected"),
    [({"Status": "Enabled"}, True), ({"Status": "Suspended"}, False), ({}, False)],
)
def test_auto_asks_the_bucket(control, answer, expected):
    it = control()
    with Stubber(it._client) as stub:
        stub.add_response("get_bucket_accelerate_configuration", answer, {"Bucket": "a-bucket"})
        assert it.accelerates() is expected
        stub.assert_no_pending_responses()


def test_auto_does_without_where_asking_is_not_allowed(control):
    it = control()
    with Stubber(it._client) as stub:
        stub.add_client_error("get_bucket_accelerate_configuration", "AccessDenied", "", 403)
        assert it.accelerates() is False


def test_another_error_is_not_taken_for_no(control):
    it = control()
    with Stubber(it._client) as stub:
        stub.add_client_error("get_bucket_accelerate_configuration", "ExpiredToken", "", 400)
        with pytest.raises(WaybillError, match="expired"):
            it.accelerates()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"accelerate": "true"}, True),
        ({"accelerate": "false"}, False),
        ({"endpoint_url": '"https://s3.example.org"'}, False),
        ({"bucket": "a.bucket"}, False),
    ],
)
def test_nobody_is_asked_where_the_answer_is_known(control, settings, expected):
    it = control(**settings)
    with Stubber(it._client):
        assert it.accelerates() is expected


def test_jobs_use_the_accelerated_endpoint_only_then(control):
    from waybill.s3.client import make_client

    transfer = control()._transfer
    plain, fast = make_client(transfer), make_client(transfer, accelerate=True)
    url = {
        client: client.generate_presigned_url(
            "put_object", Params={"Bucket": "a-bucket", "Key": "k"}
        )
        for client in (plain, fast)
    }
    assert "s3-accelerate" not in url[plain]
    assert url[fast].startswith("https://a-bucket.s3-accelerate.amazonaws.com/k?")
