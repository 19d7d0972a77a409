"""Processes that tests speak to: gateways, and the scripted server of the conformance vectors."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

REPOSITORY = Path(__file__).resolve().parents[3]
VECTORS = REPOSITORY / "test" / "vectors"
NODE = str(REPOSITORY / "node_modules" / ".bin" / "node")
SECRET = "a-secret-of-the-tests-with-at-least-32-bytes"  # noqa: S105 (of gateways that live for a test)


class Process:
    """A Node.js process, until the end of its `with`."""

    def __init__(self, script: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [NODE, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], **environment},
            text=True,
        )

    def first_line(self) -> Any:
        """The first line of its output, as JSON."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def kill(self) -> None:
        """As `kill -9`."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def ask_to_end(self) -> None:
        """As `kill`: it ends in order."""
        self._process.terminate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()


class Gateway(Process):
    """A gateway on a free port, or on the one that is given."""

    def __init__(self, *, log: str = "memory:", port: int = 0, **environment: str) -> None:
        super().__init__(
            REPOSITORY / "src" / "main.ts",
            {
                "COURIER_PORT": str(port),
                "COURIER_LOG": log,
                "COURIER_JWT_SECRET": SECRET,
                "COURIER_LOG_FORMAT": "json",
                **environment,
            },
        )
        self.log = log
        context = self.first_line()["context"]
        self.url: str = context["url"]
        self.port: int = context["port"]

    def token(self, sub: str = "cartographe", role: str = "service", *, lifetime: float = 600, **claims: Any) -> str:
        return token(sub, role, lifetime=lifetime, **claims)


def token(sub: str, role: str, *, lifetime: float = 600, **claims: Any) -> str:
    """Signs a token that every gateway of the tests accepts for `lifetime` seconds."""
    header = {"alg": "HS256", "typ": "JWT"}
    payload = {"sub": sub, "role": role, "aud": "courier", "exp": int(time.time() + lifetime), **claims}
    signed = ".".join(_base64url(json.dumps(part).encode()) for part in (header, payload))
    signature = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_base64url(signature)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class ScriptedServer(Process):
    """Plays conformance vectors: see test/vectors/README.md."""

    def __init__(self) -> None:
        super().__init__(VECTORS / "serve.ts", {})
        self._url = self.first_line()["url"]

    @asynccontextmanager
    async def play(self, vector: str | dict[str, Any]) -> AsyncIterator[Run]:
        """Begins a run of a vector, which is given or named. Everything of it must be played in the end."""
        async with httpx.AsyncClient(verify=False, timeout=10) as http:  # noqa: S501 (there is no TLS)
            answer = await http.post(f"{self._url}/runs", json={"vector": vector})
            assert answer.status_code == httpx.codes.CREATED, answer.text
            run = Run(http, answer.json()["url"])
            yield run
            seen = await run.seen()
            assert seen["mismatches"] == []
            assert seen["complete"], "not everything of the script was played"


class Run:
    """One playing of a vector."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self.url = url
        """What a client takes for the gateway's address."""

    async def seen(self) -> Any:
        return (await self._http.get(f"{self.url}/seen")).json()

    async def done(self) -> Any:
        """As `seen`, once everything was played or something was amiss."""
        return (await self._http.get(f"{self.url}/done")).json()
