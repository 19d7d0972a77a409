"""The processes that tests start: gateways, and the scripted server of the conformance vectors."""

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
    from typing_extensions import Self

REPOSITORY = Path(__file__).resolve().parents[3]
VECTORS = REPOSITORY / "test" / "vectors"
NODE = str(REPOSITORY / "node_modules" / ".bin" / "node")
SECRET = "a-secret-of-the-tests-with-at-least-32-bytes"  # noqa: S105 (the gateways exist for one test run)


class Process:
    """A Node.js process. The end of its `with` kills it."""

    def __init__(self, script: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [NODE, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], **environment},
            text=True,
        )

    def first_line(self) -> Any:
        """Reads the first line of the process's output as JSON."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def kill(self) -> None:
        """Kills the process at once (SIGKILL)."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def drain(self) -> None:
        """Asks the process to end in order (SIGTERM)."""
        self._process.terminate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()


class Gateway(Process):
    """A gateway on `port`, or on a free port."""

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
    """The server that plays conformance vectors: see test/vectors/README.md."""

    def __init__(self) -> None:
        super().__init__(VECTORS / "serve.ts", {})
        self._url = self.first_line()["url"]

    @asynccontextmanager
    async def play(self, vector: str | dict[str, Any]) -> AsyncIterator[Run]:
        """Starts a run of a vector, or of the vector with this name. Asserts at the end that all of it was played."""
        async with httpx.AsyncClient(verify=False, timeout=10) as http:  # noqa: S501 (the server has no TLS)
            answer = await http.post(f"{self._url}/runs", json={"vector": vector})
            assert answer.status_code == httpx.codes.CREATED, answer.text
            made = answer.json()
            run = Run(http, made["run"], made["url"])
            yield run
            seen = await run.seen()
            assert seen["mismatches"] == []
            assert seen["complete"], "not everything of the script was played"


class Run:
    """One run of a vector."""

    def __init__(self, http: httpx.AsyncClient, run: str, url: str) -> None:
        self._http = http
        self._run = run
        self.url = url
        """The address that a client takes for a gateway's."""

    async def seen(self) -> Any:
        """Returns what the server has seen of the client so far."""
        return (await self._http.get(f"{self._run}/seen")).json()

    async def done(self) -> Any:
        """Returns what `seen` returns, once all of the vector was played or the client differed from it."""
        return (await self._http.get(f"{self._run}/done")).json()
