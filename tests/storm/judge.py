"""The S3 servers that storms take place on."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from support.server import HOST, S3Server

# As in support.server: a parent that was killed leaves no server behind.
_BOOTSTRAP = """\
import os, runpy, sys, threading, time
parent = int(sys.argv.pop(1))
def watch():
    while os.getppid() == parent:
        time.sleep(0.3)
    os._exit(1)
threading.Thread(target=watch, daemon=True).start()
runpy.run_module("localstack.runtime.main", run_name="__main__", alter_sys=True)
"""


class LocalStack(S3Server):
    """LocalStack, which checks checksums and conditions as S3 does. ``python`` is that of an
    environment with ``localstack-core[base-runtime]``."""

    def __init__(self, python: Path, start_timeout: float = 240) -> None:
        super().__init__(start_timeout=start_timeout)
        self._python = python.absolute()  # a link of an environment; it starts elsewhere
        self._folder = Path(tempfile.mkdtemp(prefix="waybill-localstack-"))

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _spawn(self) -> None:
        self._folder.mkdir(exist_ok=True)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PYTHON"))}
        self._log: Any = tempfile.TemporaryFile()  # noqa: SIM115 (closed in stop)
        self._process = subprocess.Popen(
            [self._python, "-c", _BOOTSTRAP, str(os.getpid())],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={
                **inherited,
                "SERVICES": "s3",
                "EAGER_SERVICE_LOADING": "1",
                "GATEWAY_LISTEN": f"{HOST}:{self.port}",
                "DISABLE_EVENTS": "1",
                "SKIP_SSL_CERT_DOWNLOAD": "1",
                "DNS_ADDRESS": "0",
                "TMPDIR": str(self._folder),
                "LS_LOG": "error",
            },
            process_group=0,
        )

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=20)
        try:
            connection.request("GET", "/_localstack/health")
            answer = connection.getresponse()
            return answer.status == 200 and b'"s3"' in answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
