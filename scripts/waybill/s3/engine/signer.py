"""Heads of requests to S3, signed (version 4) by the AWS Common Runtime unless they are
anonymous."""

from __future__ import annotations

import base64
import hashlib

import awscrt.http as http
import botocore.exceptions as be
from awscrt import auth
from awscrt.exceptions import AwsCrtError

from waybill.s3.engine.headers import Headers
from waybill.s3.engine.target import Target

UNSIGNED = "UNSIGNED-PAYLOAD"


def signed_body(to: Target, body: bytes, checksum: dict[str, str]) -> str:
    """What the signature of a request says of its body: the SHA-256 (hex), or UNSIGNED where nobody
    can change the bytes on the way. AWS's own clients do so with TLS, too; the body is guarded by
    its ``checksum`` arguments all the same."""
    if sha256 := checksum.get("ChecksumSHA256"):
        return base64.b64decode(sha256).hex()
    return UNSIGNED if to.is_private else hashlib.sha256(body).hexdigest()


class Signer:
    """Makes the heads of requests for one bucket, signed with the present credentials if it has
    any."""

    def __init__(self, to: Target) -> None:
        self._to = to
        self._keys: tuple[str, ...] = ()
        self._provider: auth.AwsCredentialsProvider | None = None

    def head(self, method: str, path: str, headers: Headers, sha256: str) -> bytes:
        """A signed request up to the empty line before its body. ``sha256`` (hex) is that of the
        body, or UNSIGNED; ``path`` is percent-encoded. Raises botocore's errors about credentials
        and arguments."""
        headers = [("host", self._to.host), *headers]
        if self._to.credentials is not None:
            headers = self._signed(method, path, headers, sha256)
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers)]
        head = "\r\n".join(lines)
        if not head.count("\r") == head.count("\n") == len(lines) - 1:
            raise be.ParamValidationError(report="an argument of the request holds a line break")
        return f"{head}\r\n\r\n".encode()

    def _signed(self, method: str, path: str, headers: Headers, sha256: str) -> Headers:
        request = http.HttpRequest(method, path, http.HttpHeaders(headers))
        config = auth.AwsSigningConfig(
            algorithm=auth.AwsSigningAlgorithm.V4,
            signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
            credentials_provider=self._credentials(),
            region=self._to.region,
            service=self._to.service,
            use_double_uri_encode=False,
            should_normalize_uri_path=False,
            signed_body_value=sha256,
            signed_body_header_type=auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        )
        try:
            auth.aws_sign_request(request, config).result()
        except AwsCrtError as error:
            text = f"cannot be signed with them: {error.name}"
            raise be.CredentialRetrievalError(provider="AWS", error_msg=text) from None
        return list(request.headers)

    def _credentials(self) -> auth.AwsCredentialsProvider:
        """The present credentials of botocore, which renews them before they expire."""
        now = self._to.credentials.get_frozen_credentials()
        keys = (now.access_key, now.secret_key, now.token or "")
        if self._provider is None or keys != self._keys:
            self._provider = auth.AwsCredentialsProvider.new_static(keys[0], keys[1], now.token)
            self._keys = keys
        return self._provider
