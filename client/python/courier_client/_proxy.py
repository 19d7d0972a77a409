"""Which proxy leads to the gateway. One rule for what publishes and what subscribes.

`http_proxy` is for http and ws, `https_proxy` for https and wss, `all_proxy` for both where theirs is not set, and
`no_proxy` names what is reached without one. Lower case goes before upper case.
"""

from __future__ import annotations

import ipaddress
import os
from contextlib import suppress
from importlib.util import find_spec
from urllib.parse import urlsplit

from ._address import has_host
from ._arguments import of_type
from .errors import InvalidInputError, invalid_argument

SCHEMES = ("http", "https", "socks5", "socks5h")
DEFAULT_PORTS = {"http": 80, "https": 443}


def proxy_for(base_url: str, given: str | None) -> str | None:
    """The address of the proxy: the given one, or that of the environment. None: there is none. "" also gives none.

    Raises InvalidInputError, naming the option or the variable.
    """
    if given is not None:
        return _checked("proxy", given) if given else None
    parts = urlsplit(base_url)
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        variable, address = _variable(name)
        if address:
            return None if _is_exempt(base_url) else _checked(variable, address)
    return None


def _variable(name: str) -> tuple[str, str]:
    """The name of the variable as it is set, and its value."""
    if name in os.environ:
        return name, os.environ[name]
    # A CGI script gets a request's header Proxy as HTTP_PROXY.
    if name == "http_proxy" and "REQUEST_METHOD" in os.environ:
        return name, ""
    return name.upper(), os.environ.get(name.upper(), "")


def _checked(option: str, address: str) -> str:
    of_type(option, address, str, "the address of a proxy")
    normal = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(normal)
        _ = parts.port
    except ValueError:
        raise _refused(option, "it is malformed, or its port is no number") from None
    if parts.scheme not in SCHEMES or not has_host(normal) or any(character <= " " for character in normal):
        raise _refused(option, f"it must be a host, or begin with {', '.join(f'{scheme}://' for scheme in SCHEMES)}")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise _refused(option, "it has more than a host and a port")
    if parts.username is not None and parts.password is None:
        raise _refused(option, "it has a user name without a password")
    if parts.scheme.startswith("socks") and not (find_spec("socksio") and find_spec("python_socks")):
        raise invalid_argument(
            f"{option} is a SOCKS proxy, and what speaks to one is not installed",
            path=option,
            hint="Install courier-client[socks].",
        )
    return normal.rstrip("/")


def _refused(option: str, problem: str) -> InvalidInputError:
    # The address may contain a password: the message does not repeat it.
    return invalid_argument(f"{option} is no address of a proxy: {problem}", path=option)


def _is_exempt(base_url: str) -> bool:
    """Whether `no_proxy` has the host: itself, a domain above it, a network around it, with any port or this one."""
    parts = urlsplit(base_url)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    _, exempt = _variable("no_proxy")
    return any(
        _matches(entry.strip().lower(), host, port) for entry in exempt.replace(" ", ",").split(",") if entry.strip()
    )


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    name, colon, its_port = entry.rpartition(":")
    if colon and its_port.isdecimal():
        return int(its_port) == port and _matches(name, host, port)
    domain = entry.removeprefix("*").strip(".")
    return domain != "" and (host == domain or host.endswith(f".{domain}"))
