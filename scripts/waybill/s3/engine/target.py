"""The address of requests for the objects of a bucket, and how they are signed. Both come from
botocore, which knows addressing styles, acceleration, endpoints and sources of credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import botocore.exceptions as be
import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.utils import get_environ_proxies

from waybill.s3.client import ca_file, common_arguments
from waybill.s3.engine.base import UnsupportedError
from waybill.s3.errors import explain

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")
_SIGNED = re.compile(rb"AWS4-HMAC-SHA256 Credential=[^/]+/\d+/([^/]+)/(s3)/")


class Target(NamedTuple):
    """Where requests go: ``url`` is scheme, host and port, ``path`` is the path before a key.
    ``region`` and ``service`` are for the signature. ``credentials`` are botocore's, which renew
    themselves; None for requests that are not signed. ``ca_file`` is the path of the certificates
    to trust."""

    url: str
    path: str
    region: str
    service: str
    credentials: Any
    ca_file: str

    @property
    def host(self) -> str:
        """Host and port, as in the header of this name."""
        return urlsplit(self.url).netloc

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can change what is sent: the connection has TLS, or stays on
        this machine."""
        host = urlsplit(self.url).hostname or ""
        return self.url.startswith("https:") or bool(_LOOPBACK.fullmatch(host))


class _Nothing:
    """The empty body of an answer that is made up here."""

    def stream(self) -> Iterator[bytes]:
        return iter(())


def target(transfer: Transfer, session: botocore.session.Session, client: Any) -> Target:
    """The target of a transfer's requests. botocore builds a HEAD for it, which is not sent.

    Raises UnsupportedError when requests need more than a signature of version 4 on a direct
    connection, and WaybillError when there are no credentials.
    """
    requests: list[Any] = []

    def answer(request: Any, **_: Any) -> AWSResponse:
        requests.append(request)
        return AWSResponse(request.url, 200, {}, _Nothing())

    events = client.meta.events
    events.register_first("before-send.s3.HeadObject", answer)
    try:
        client.head_object(Key="key", **common_arguments(transfer))
    except (be.ClientError, be.BotoCoreError) as error:
        raise explain(error, transfer) from None
    finally:
        events.unregister("before-send.s3.HeadObject", answer)
    parts = urlsplit(requests[0].url)
    url = f"{parts.scheme}://{parts.netloc}"
    if get_environ_proxies(url):
        raise UnsupportedError("there is a proxy on the way")
    path, trusted = parts.path.removesuffix("key"), ca_file(client)
    if transfer.anonymous and path.endswith("/"):
        return Target(url, path, "", "", None, trusted)
    signed = _SIGNED.match(requests[0].headers.get("Authorization", b""))
    if not signed or not path.endswith("/"):
        raise UnsupportedError("requests to this bucket are signed in a way of their own")
    region, service = signed[1].decode(), signed[2].decode()
    return Target(url, path, region, service, session.get_credentials(), trusted)
