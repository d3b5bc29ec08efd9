"""The HTTP headers of requests and answers of S3, after botocore's service model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import botocore.exceptions as be
from botocore.parsers import create_parser

from waybill.s3.answers import error_body

Headers = list[tuple[str, str]]

_CONVERT: dict[str, Callable[[str], Any]] = {
    "integer": int, "long": int, "boolean": lambda text: text.lower() == "true",
}  # fmt: skip


class HeaderCodec:
    """Turns arguments into headers, headers into answers, and answers into errors."""

    def __init__(self, client: Any) -> None:
        self._model = client.meta.service_model
        self._arguments: dict[tuple[str, str], str] = {}
        self._members: dict[str, dict[str, tuple[str, Callable[[str], Any] | None]]] = {}

    def headers(self, operation: str, arguments: dict[str, Any]) -> Headers:
        """The headers for the arguments of an operation. Arguments that belong into the address are
        left out."""
        found = ((self._header(operation, name), value) for name, value in arguments.items())
        return [(header, str(value)) for header, value in found if header]

    def _header(self, operation: str, name: str) -> str:
        """The header for an argument of an operation; ``""`` when there is none."""
        header = self._arguments.get((operation, name))
        if header is None:
            told = self._model.operation_model(operation).input_shape.members[name].serialization
            header = told["name"].lower() if told.get("location") == "header" else ""
            self._arguments[operation, name] = header
        return header

    def answer(self, operation: str, headers: dict[str, str]) -> dict[str, Any]:
        """An answer as botocore would return it, made from ``headers``; without times."""
        members = self._members.get(operation) or self._learn(operation)
        answer: dict[str, Any] = {"Metadata": {}}
        for header, text in headers.items():
            if found := members.get(header):
                name, convert = found
                try:
                    answer[name] = convert(text) if convert else text
                except ValueError:  # a malformed number is left out
                    continue
            elif header.startswith("x-amz-meta-"):
                answer["Metadata"][header.removeprefix("x-amz-meta-")] = text
        return answer

    def _learn(self, operation: str) -> dict[str, tuple[str, Callable[[str], Any] | None]]:
        members = self._model.operation_model(operation).output_shape.members
        self._members[operation] = {
            shape.serialization["name"].lower(): (name, _CONVERT.get(shape.type_name))
            for name, shape in members.items()
            if shape.serialization.get("location") == "header" and shape.type_name != "timestamp"
        }
        return self._members[operation]

    def error(
        self, operation: str, status: int, headers: dict[str, str], body: bytes
    ) -> be.ClientError:
        """The error in an answer, as botocore would raise it."""
        shape = self._model.operation_model(operation).output_shape
        body = error_body(status, body)
        answer = {"status_code": max(status, 300), "headers": headers, "body": body}
        return be.ClientError(create_parser("rest-xml").parse(answer, shape), operation)
