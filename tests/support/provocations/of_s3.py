"""Messages about credentials, buckets, the network and the store."""

from __future__ import annotations

import botocore.exceptions as be
import pytest

from support import pages
from support.certificates import stranger
from support.engines import DATA, put
from support.provocations.world import (
    CLOSED,
    Capsys,
    World,
    provokes,
    said,
    simple,
)
from support.proxy import (
    Answer,
    DropHeader,
    Page,
    Reset,
    access_denied,
    invalid_access_key,
    slow_down,
    wrong_region,
)
from support.saying import MFA
from support.transfers import transfer_of
from waybill.s3.engine.choose import make_engine
from waybill.s3.errors import explain
from waybill.s3.parts import Part

# Credentials


@provokes("no-credentials")
def no_credentials(w: World, _: Capsys) -> str:
    w.aws.without_keys()
    return w.s3_says()


@provokes("half-credentials")
def half_credentials(w: World, _: Capsys) -> str:
    w.aws.set(AWS_SECRET_ACCESS_KEY="")
    return w.s3_says()


@provokes("expired-credentials")
def expired_credentials(w: World, _: Capsys) -> str:
    w.aws.set(AWS_CREDENTIAL_EXPIRATION="2020-01-01T00:00:00Z")
    return w.s3_says()


@provokes("one-time-code")
def one_time_code(w: World, _: Capsys) -> str:
    w.aws.profiles(MFA)
    return w.s3_says(profile="x")


@provokes("no-profile")
def no_profile(w: World, _: Capsys) -> str:
    w.aws.set(AWS_PROFILE="nope")
    return w.s3_says()


@provokes("aws-configuration")
def aws_configuration(w: World, _: Capsys) -> str:
    w.aws.profiles("[profile x\nregion")
    return w.s3_says(profile="x")


@provokes("no-login")
def no_login(w: World, _: Capsys) -> str:
    w.aws.profiles(
        "[profile x]\nsso_start_url = https://sso.invalid\nsso_region = us-east-1\n"
        "sso_account_id = 1\nsso_role_name = r\n"
    )
    return w.s3_says(profile="x")


@provokes("credential-process")
def credential_process(w: World, _: Capsys) -> str:
    w.aws.helper("raise SystemExit('log in first')")
    return w.s3_says(profile="x")


@provokes("no-metadata")
def no_metadata(w: World, _: Capsys) -> str:
    w.aws.set(AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE="odd")
    return w.s3_says()


simple("refused-credentials", lambda w: w.s3_says(invalid_access_key()))
simple("access-denied", lambda w: w.s3_says(access_denied()))
simple("clock", lambda w: w.s3_says(Answer(403, "RequestTimeTooSkewed", "too large")))


# Bucket, region, endpoint


@provokes("no-region")
def no_region(w: World, _: Capsys) -> str:
    w.aws.set(AWS_DEFAULT_REGION="no region!")
    return w.s3_says()


@provokes("odd-listing")
def odd_listing(w: World, _: Capsys) -> str:
    with pages.store(lambda _: (200, pages.page("a", "a"))) as url:
        return w.s3_says(endpoint_url=url)


simple("no-bucket", lambda w: w.s3_says(bucket="waybill-no-such-bucket"))
simple("other-region", lambda w: w.s3_says(wrong_region("eu-west-1", 400)))
simple("no-address", lambda w: w.s3_says(endpoint_url="http:/one-slash"))
simple("value-for-s3", lambda w: w.s3_says(bucket="NO BUCKET"))
simple("not-s3", lambda w: w.s3_says(Page()))


# Network and store


@provokes("proxy")
def proxy_(w: World, _: Capsys) -> str:
    w.aws.set(HTTP_PROXY=CLOSED, http_proxy=CLOSED, NO_PROXY="", no_proxy="")
    return w.s3_says(endpoint_url="http://store.invalid", timeout=2)


@provokes("certificate")
def certificate(w: World, _: Capsys) -> str:
    with stranger(w.folder) as url:
        return w.s3_says(endpoint_url=url)


@provokes("engine")
def engine(w: World, _: Capsys) -> str:
    w.aws.set(HTTP_PROXY=CLOSED, http_proxy=CLOSED, NO_PROXY="", no_proxy="")
    transfer = transfer_of(w.folder, w.bucket, engine="native", endpoint_url="http://store.invalid")
    return said(lambda: make_engine(transfer, accelerate=False))


@provokes("no-ranges")
def no_ranges(w: World, _: Capsys) -> str:
    w.proxy.fault(DropHeader("range"), op="GetObject")
    transfer = transfer_of(w.folder, w.bucket)
    mover = make_engine(transfer, accelerate=False)
    etag = put(mover, DATA, key="a").etag
    with pytest.raises(be.BotoCoreError) as caught:
        mover.get("a", etag, Part(1, 10, 20), lambda *_: None)
    mover.close()
    return str(explain(caught.value, transfer))


simple("unreachable", lambda w: w.s3_says(endpoint_url=CLOSED))
simple("no-tls", lambda w: w.s3_says(endpoint_url=w.proxy.endpoint_url.replace("http", "https")))
simple("breaks-off", lambda w: w.s3_says(Reset()))
simple("busy-store", lambda w: w.s3_says(slow_down()))
simple("damaged-on-the-way", lambda w: w.s3_says(Answer(400, "BadDigest", "no"), "native"))
simple("refused-request", lambda w: w.s3_says(Answer(400, "InvalidRequest", "no"), "boto3"))
simple("archived", lambda w: w.s3_says(Answer(403, "InvalidObjectState", "no")))
simple(
    "boto3",
    lambda w: str(explain(be.PaginationError(message="no"), transfer_of(w.folder, w.bucket))),
)
