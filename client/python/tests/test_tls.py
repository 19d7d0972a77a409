"""Gateways behind TLS, with certificates that the client trusts or does not trust."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from conftest import FAST
from courier_client import CourierClient, CourierError, SyncCourierClient, UnexpectedAnswerError, events
from processes import Gateway
from servers import Serve, tcp_server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for this machine, with its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    request = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([*request.split(), "-keyout", path, "-out", f"{path}.crt"], capture_output=True, check=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


def relay_to(port: int) -> Serve:
    """A handler that passes bytes on to the gateway, as a proxy that terminates TLS does."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    return serve


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def test_a_certificate_that_is_trusted(gateway: Gateway, certificate: Path) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    draft = events.backtest_progress(backtest_id="tls", progress=0.5)
    async with tcp_server(relay_to(gateway.port), server) as address:
        async with CourierClient(address, token=gateway.token(), ssl_context=trusting) as client:
            async with client.subscribe("backtest.tls", on_gap="fail") as subscription:
                receipt = await client.publish_event(draft)
                assert (await anext(subscription)).id == receipt.id
        with SyncCourierClient(address, token=gateway.token(), ssl_context=trusting) as sync:
            assert (await asyncio.to_thread(sync.publish_event, draft)).channel == "backtest.tls"


async def test_a_certificate_that_is_not_trusted_is_not_tried_again(gateway: Gateway, certificate: Path) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    draft = events.backtest_progress(backtest_id="tls", progress=0.5)
    async with tcp_server(relay_to(gateway.port), server) as address:
        async with CourierClient(address, token="t1", retry=FAST) as client:
            errors: list[CourierError] = []
            for attempt in (client.publish_event(draft), anext(client.subscribe("**", on_gap="fail"))):
                with pytest.raises(UnexpectedAnswerError, match="ssl_context") as caught:
                    await attempt
                errors.append(caught.value)
    assert all("not trusted" in error.message for error in errors)
