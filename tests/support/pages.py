"""A store that answers every listing with what a test says, however wrong that is."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

OBJECT = "<LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag>&quot;0cc1&quot;</ETag>"

# The parameters of a request, to status and body; an iterable is sent until the client has gone.
Pages = Callable[[dict[str, str]], tuple[int, bytes | Iterable[bytes]]]


def page(*keys: str, token: str = "", each: str = f"{OBJECT}<Size>7</Size>") -> bytes:
    """A page of a listing; with a ``token`` there is more. ``each`` is what is told of a key."""
    contents = "".join(f"<Contents><Key>{escape(key)}</Key>{each}</Contents>" for key in keys)
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    truncated = "true" if token else "false"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>b</Name>{contents}'
        f"{more}<IsTruncated>{truncated}</IsTruncated></ListBucketResult>"
    ).encode()


@contextlib.contextmanager
def store(pages: Pages) -> Iterator[str]:
    """The address of such a store."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = pages(dict(parse_qsl(urlsplit(self.path).query)))
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            if isinstance(body, bytes):
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return
            self.send_header("Connection", "close")
            self.end_headers()
            with contextlib.suppress(OSError):
                for block in body:
                    self.wfile.write(block)
            self.close_connection = True

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
