"""The control plane: a botocore client for a transfer, and the arguments of its requests."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import boto3
import botocore.exceptions as be
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.httpsession import get_cert_path

from waybill.model.errors import EXIT_CONFIG, WaybillError
from waybill.s3 import credentials
from waybill.s3.answers import guard
from waybill.s3.causes import said
from waybill.s3.errors import DENIED, error_code, explain
from waybill.s3.retries import MAX_ATTEMPTS, Retries

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

CONNECT_TIMEOUT_SECONDS = 10


def make_client(
    transfer: Transfer,
    *,
    accelerate: bool = False,
    session: botocore.session.Session | None = None,
    attempts: int = MAX_ATTEMPTS,
) -> Any:
    """A botocore S3 client with the transfer's settings, which tries each request ``attempts``
    times. Its credentials come from the AWS chain of ``session``, which asks nobody
    (``s3.credentials``); an ``anonymous`` transfer signs nothing.

    Raises WaybillError when credentials, the configuration of AWS or the settings are not as they
    should be, or the file of trusted certificates cannot be read.
    """
    session = session or botocore.session.get_session()
    s3: dict[str, Any] = {"use_accelerate_endpoint": accelerate}
    if transfer.addressing_style is not None:  # else the AWS profile decides
        s3["addressing_style"] = transfer.addressing_style
    try:
        maker = boto3.Session(
            profile_name=transfer.profile, region_name=transfer.region, botocore_session=session
        )
        if not transfer.anonymous:
            credentials.guard(session)
        client = maker.client(
            "s3",
            endpoint_url=transfer.endpoint_url,
            config=Config(
                connect_timeout=min(CONNECT_TIMEOUT_SECONDS, transfer.timeout),
                read_timeout=transfer.timeout,
                retries={"total_max_attempts": attempts, "mode": "standard"},
                max_pool_connections=transfer.threads + 2,
                tcp_keepalive=True,
                request_checksum_calculation=transfer.request_checksum_calculation,
                response_checksum_validation="when_required",  # a download checks itself
                s3=s3,
                **({"signature_version": UNSIGNED} if transfer.anonymous else {}),
            ),
        )
    except (be.BotoCoreError, ValueError) as error:
        raise explain(error, transfer) from None
    _check_authorities(client, transfer)
    guard(client)
    Retries(attempts).register(client)
    return client


def ca_file(client: Any) -> str:
    """The path of the certificates that a client trusts: botocore takes AWS_CA_BUNDLE,
    ``ca_bundle`` of the profile or REQUESTS_CA_BUNDLE, or those that it brings along."""
    return get_cert_path(client._endpoint.http_session._verify)


def _check_authorities(client: Any, transfer: Transfer) -> None:
    """Raise WaybillError when the file of trusted certificates cannot be used."""
    file = ca_file(client)
    if file == get_cert_path(True):  # botocore's own
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except OSError as error:  # also of TLS
        raise WaybillError(
            f"{transfer.url}: {file}: holds no certificates that can be read ({said(error)});"
            " correct AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE or `ca_bundle` of the AWS profile",
            exit_code=EXIT_CONFIG,
        ) from None


def common_arguments(transfer: Transfer) -> dict[str, Any]:
    """The arguments that every request of the transfer carries, bucket included."""
    arguments: dict[str, Any] = {"Bucket": transfer.bucket}
    if transfer.expected_bucket_owner:
        arguments["ExpectedBucketOwner"] = transfer.expected_bucket_owner
    if transfer.requester_pays:
        arguments["RequestPayer"] = "requester"
    return arguments


def write_arguments(transfer: Transfer) -> dict[str, Any]:
    """The arguments that PutObject and CreateMultipartUpload share."""
    arguments = common_arguments(transfer)
    if transfer.storage_class:
        arguments["StorageClass"] = transfer.storage_class
    if transfer.sse:
        arguments["ServerSideEncryption"] = transfer.sse
    if transfer.sse_kms_key_id:
        arguments["SSEKMSKeyId"] = transfer.sse_kms_key_id
    if transfer.acl:
        arguments["ACL"] = transfer.acl
    if transfer.tags:
        arguments["Tagging"] = urlencode(transfer.tags)
    return arguments


def bucket_accelerates(client: Any, transfer: Transfer) -> bool:
    """Whether the bucket has Transfer Acceleration (GetBucketAccelerateConfiguration).

    False when this user may not ask: acceleration changes the route of the bytes, not the result.
    Raises WaybillError for other errors.
    """
    try:
        answer = client.get_bucket_accelerate_configuration(**common_arguments(transfer))
    except be.ClientError as error:
        code = error_code(error)
        if code in DENIED or code in {"NotImplemented", "MethodNotAllowed"}:
            return False
        raise explain(error, transfer) from None
    except be.BotoCoreError as error:
        raise explain(error, transfer) from None
    return answer.get("Status") == "Enabled"
