"""The certificates that the client trusts. One rule for what publishes and what subscribes."""

from __future__ import annotations

import os
import ssl
from types import NoneType

import httpx

from ._arguments import of_type
from .errors import invalid_argument


def trust(
    ssl_context: ssl.SSLContext | None, ca_file: str | os.PathLike[str] | None, *, needed: bool
) -> ssl.SSLContext:
    """The given context, or one that trusts the authorities of `ca_file`, or of SSL_CERT_FILE or SSL_CERT_DIR.

    Without these, it trusts the public ones. Reading authorities takes a while: where none are `needed`,
    it trusts nobody.

    Raises InvalidInputError, naming the option or the variable.
    """
    of_type("ssl_context", ssl_context, (ssl.SSLContext, NoneType), "an ssl.SSLContext")
    of_type("ca_file", ca_file, (str, os.PathLike, NoneType), "a path")
    if ssl_context is not None:
        if ca_file is not None:
            raise invalid_argument("give ssl_context or ca_file, not both", path="ca_file")
        return ssl_context
    if ca_file is None and not needed:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return httpx.create_ssl_context() if ca_file is None else ssl.create_default_context(cafile=os.fspath(ca_file))
    except (OSError, ValueError) as error:
        source = _source() if ca_file is None else "ca_file"
        path = os.environ.get(source) if ca_file is None else os.fspath(ca_file)
        raise invalid_argument(
            f"{source} {path!r} cannot be read as certificates: {error}",
            path=source,
            hint="Name a file with the certificates of authorities in PEM.",
        ) from error


def _source() -> str:
    return next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), "certifi")
