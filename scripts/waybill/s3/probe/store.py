"""The store that is probed: its requests, and the few objects that several questions share."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import botocore.exceptions as be
from awscrt import checksums as crt

from waybill.s3.client import common_arguments, make_client
from waybill.s3.errors import DENIED, error_code, explain
from waybill.s3.permissions import action_of

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

FOLDER = "waybill-probe/"  # below the prefix: nothing else of the user is written there
ATTEMPTS = 2
TIMEOUT_SECONDS = 30

SMALL = b"waybill probe\n" * 64
PART_BYTES = 5 << 20  # the least that S3 takes for a part that is not the last
FIRST_PART = bytes(range(256)) * (PART_BYTES // 256)

METADATA = {"source-sha256": hashlib.sha256(SMALL).hexdigest(), "Probe-Case": "A b"}

Reply = dict[str, Any]  # as botocore returns it
Result = TypeVar("Result")


class Refused(Exception):
    """The store answered with an error; the text has its code. ``operation`` is None when no
    single request was refused."""

    def __init__(self, code: str, operation: str | None = None) -> None:
        super().__init__(f"{operation} is refused with {code}" if operation else code)
        self.code = code


class Untold(Exception):
    """There is no answer to a question; the text says why."""


class Store:
    """One prefix of one bucket. A request raises Refused when the store answers with an error, and
    Untold when this user may not make it or no answer comes.

    ``transfer`` has the settings of the user; ``key`` gives the key of an object of the probe.
    """

    def __init__(self, transfer: Transfer) -> None:
        self.transfer = replace(
            transfer,
            prefix=transfer.prefix + FOLDER,
            timeout=min(transfer.timeout, TIMEOUT_SECONDS),
        )
        self.common = common_arguments(self.transfer)
        self._open: dict[str, str] = {}  # upload id to key
        self._shared: dict[Any, Any] = {}

    @cached_property
    def client(self) -> Any:
        """A client that adds no checksum by itself."""
        plain = replace(self.transfer, request_checksum_calculation="when_required")
        return make_client(plain, attempts=ATTEMPTS)

    def key(self, name: str) -> str:
        return self.transfer.prefix + name

    def ask(self, operation: str, **arguments: Any) -> Reply:
        """Make one request; ``operation`` is the name of the method of boto3's client."""
        try:
            return getattr(self.client, operation)(**arguments, **self.common)
        except be.ClientError as error:
            code = error_code(error)
            if code in DENIED:
                needs = action_of(error.operation_name)
                raise Untold(f"access denied; it needs {needs}") from None
            raise Refused(code, error.operation_name) from None
        except be.BotoCoreError as error:
            raise Untold(str(explain(error, self.transfer, what=operation))) from None

    def put(self, name: str, body: bytes = SMALL, **arguments: Any) -> Reply:
        return self.ask("put_object", Key=self.key(name), Body=body, **arguments)

    def head(self, name: str, **arguments: Any) -> Reply:
        return self.ask("head_object", Key=self.key(name), **arguments)

    def get(self, name: str, **arguments: Any) -> tuple[Reply, bytes]:
        """An answer to GetObject, and its bytes."""
        reply = self.ask("get_object", Key=self.key(name), **arguments)
        try:
            with reply["Body"] as body:
                return reply, body.read()
        except be.BotoCoreError as error:
            raise Untold(f"the answer to GetObject breaks off: {type(error).__name__}") from None

    def shared(self, kind: Callable[[Store], Result]) -> Result:
        """What several questions share, made of this store once."""
        if kind not in self._shared:
            self._shared[kind] = kind(self)
        return self._shared[kind]

    # The object that questions about reading share

    @cached_property
    def object(self) -> Reply:
        """The answer to the PutObject of the object ``object``, which holds ``SMALL``."""
        return self.put("object", Metadata=METADATA)

    @cached_property
    def sealed(self) -> Reply:
        """The answer to a PutObject with a right SHA-256."""
        return self.put("sha256", ChecksumSHA256=sha256(SMALL))

    @cached_property
    def takes_sha256(self) -> bool:
        return not refusal(lambda: self.sealed)

    @cached_property
    def etag(self) -> str:
        """The ETag of that object, as the store writes it."""
        etag = self.object.get("ETag", "")
        if not etag:
            raise Refused("no ETag in the answer to PutObject")
        return etag

    # Uploads in parts

    def begin(self, name: str, **arguments: Any) -> str:
        """Begin an upload; its id. What is open at the end is aborted by ``close``."""
        reply = self.ask("create_multipart_upload", Key=self.key(name), **arguments)
        upload_id = reply.get("UploadId")
        if not upload_id:
            raise Refused("no id in the answer to CreateMultipartUpload")
        self._open[upload_id] = self.key(name)
        return str(upload_id)

    def part(self, upload_id: str, number: int, body: bytes, **arguments: Any) -> Reply:
        """Put a part; what CompleteMultipartUpload must be told of it."""
        reply = self.ask(
            "upload_part",
            Key=self._open[upload_id],
            UploadId=upload_id,
            PartNumber=number,
            Body=body,
            **arguments,
        )
        told = {"PartNumber": number, "ETag": reply.get("ETag", "")}
        return told | {k: v for k, v in arguments.items() if k.startswith("Checksum")}

    def complete(self, upload_id: str, parts: list[Reply], **arguments: Any) -> Reply:
        reply = self.ask(
            "complete_multipart_upload",
            Key=self._open[upload_id],
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            **arguments,
        )
        del self._open[upload_id]
        return reply

    @cached_property
    def joined(self) -> Reply:
        """The answer about an upload of two parts, ``FIRST_PART`` and ``SMALL``, that became the
        object ``parts``."""
        upload_id = self.begin("parts")
        parts = [self.part(upload_id, n, body) for n, body in enumerate((FIRST_PART, SMALL), 1)]
        return self.complete(upload_id, parts)

    def abort(self, upload_id: str) -> None:
        key = self._open.pop(upload_id)
        self.ask("abort_multipart_upload", Key=key, UploadId=upload_id)

    def close(self) -> list[str]:
        """Abort what is open. Returns the keys of uploads that could not be aborted."""
        left = []
        for upload_id, key in list(self._open.items()):
            try:
                self.abort(upload_id)
            except (Refused, Untold) as error:
                if getattr(error, "code", "") != "NoSuchUpload":
                    left.append(key)
        return left


def given(request: Callable[[], Result], what: str) -> Result:
    """The result of a request that another question is about. Raises Untold when it is refused."""
    try:
        return request()
    except Refused:
        raise Untold(f"{what} does not work") from None


def refusal(request: Callable[[], Any]) -> str:
    """The code with which a request is refused; ``""`` when it is not."""
    try:
        request()
    except Refused as error:
        return error.code
    return ""


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes in base64, as S3's headers have it."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def crc64nvme(*blocks: bytes) -> str:
    """The CRC64NVME of some bytes in base64, as S3's headers have it."""
    value = 0
    for block in blocks:
        value = crt.crc64nvme(block, value)
    return base64.b64encode(value.to_bytes(8, "big")).decode()
