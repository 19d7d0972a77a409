"""Gateways behind TLS, with certificates that the client trusts or does not trust."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
from pathlib import Path

import pytest

from conftest import FAST
from courier_client import (
    CourierClient,
    CourierError,
    InvalidInputError,
    SyncCourierClient,
    UnexpectedAnswerError,
    events,
)
from processes import Gateway
from servers import Serve, pump, tcp_server


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


async def test_a_certificate_of_an_authority_in_a_file(
    gateway: Gateway, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    draft = events.backtest_progress(backtest_id="tls-file", progress=0.5)

    async def publish_and_receive(client: CourierClient) -> None:
        async with client, client.subscribe("backtest.tls-file") as subscription:
            receipt = await client.publish_event(draft)
            assert (await anext(subscription)).id == receipt.id

    async with tcp_server(relay_to(gateway.port), server) as address:
        await publish_and_receive(CourierClient(address, token=gateway.token(), ca_file=certificate))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        await publish_and_receive(CourierClient(address, token=gateway.token()))


@pytest.mark.parametrize("kind", [CourierClient, SyncCourierClient])
def test_a_file_without_certificates_is_refused_at_once(
    kind: type[CourierClient | SyncCourierClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = tmp_path / "none.pem"
    none.write_text("no certificate")
    for path in (none, tmp_path / "missing.pem", tmp_path):
        with pytest.raises(InvalidInputError, match=f"^ca_file {re.escape(repr(str(path)))} cannot be read") as caught:
            kind("https://localhost:8766", token="t1", ca_file=path)
        assert [issue.path for issue in caught.value.issues] == ["ca_file"]
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        with pytest.raises(InvalidInputError, match=r"^SSL_CERT_FILE "):
            kind("wss://localhost:8766", token="t1")
        # Nobody needs it for an address without TLS.
        kind("http://localhost:8766", token="t1")
    with pytest.raises(InvalidInputError, match="ssl_context or ca_file"):
        kind(token="t1", ssl_context=ssl.create_default_context(), ca_file=none)
    with pytest.raises(InvalidInputError, match=r"^ssl_context must be"):
        kind(token="t1", ssl_context="ca.pem")  # type: ignore[arg-type]
