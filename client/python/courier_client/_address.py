"""The addresses of one gateway, below its `base_url`, which may have a path."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlencode, urlsplit

import httpx

from ._arguments import of_type
from ._filter import Channels, channel_names, type_names
from ._json import require_well_formed
from .errors import invalid_argument, require_choice

if TYPE_CHECKING:
    from ._filter import Filter
    from ._selection import Selection


class Address:
    """Builds the URL of each request."""

    def __init__(self, base_url: str) -> None:
        """Raises InvalidInputError, naming `base_url`, unless it is an http, https, ws or wss URL."""
        self.base_url = _normal(base_url)

    @property
    def publish(self) -> str:
        return f"{self.base_url}/publish"

    @property
    def publish_batch(self) -> str:
        """Of tRPC over HTTP: plain HTTP has no address for several events."""
        return f"{self.base_url}/trpc/events.publishBatch"

    @property
    def publish_each(self) -> str:
        return f"{self.base_url}/trpc/events.publishEach"

    def history(
        self,
        channels: Channels,
        *,
        types: str | Sequence[str] | None = None,
        order: Literal["oldest", "newest"] = "oldest",
        after: str | None = None,
        before: str | None = None,
        limit: int | None = None,
    ) -> str:
        """Takes `HistoryOptions`. Raises InvalidInputError, whose `issues` name the argument."""
        require_choice("order", order, "oldest", "newest")
        of_type("after", after, (str, NoneType), "a position")
        of_type("before", before, (str, NoneType), "a position")
        of_type("limit", limit, (int, NoneType), "an integer")
        segment = _segment(channel_names(channels))
        query = _query(
            types=_list(type_names(types)),
            order=None if order == "oldest" else order,
            after=after,
            before=before,
            limit=limit,
        )
        return f"{self.base_url}/events/{segment}{query}"

    def trace(self, name: str, limit: int | None, after: str | None) -> str:
        """The address of one page of a piece of work. Raises InvalidInputError, naming `correlation_id`."""
        require_well_formed("correlation_id", name)
        if name in {".", ".."}:
            raise invalid_argument(f"correlation_id {name!r} cannot stand in an address", path="correlation_id")
        return f"{self.base_url}/trace/{quote(name, safe='')}{_query(limit=limit, after=after)}"

    def subscription(self, filter_: Filter, last_event_id: str | None) -> str:
        query = _query(**{"from": filter_.from_}, types=_list(filter_.types), last_event_id=last_event_id)
        scheme, rest = self.base_url.split(":", 1)
        return f"{'wss' if scheme == 'https' else 'ws'}:{rest}/ws/{_segment(filter_.channels)}{query}"

    def watch(self, selection: Selection, max_per_second: float | None, last_event_id: str | None) -> str:
        query = _query(
            state=selection.entity, **selection.query, max_per_second=max_per_second, last_event_id=last_event_id
        )
        scheme, rest = self.base_url.split(":", 1)
        return f"{'wss' if scheme == 'https' else 'ws'}:{rest}/ws/{_segment(selection.channels)}{query}"

    def state(self, selection: Selection, limit: int, after: str | None) -> str:
        """The address of one page of the state."""
        query = _query(entity=selection.entity, **selection.query, limit=limit, after=after)
        return f"{self.base_url}/state/{_segment(selection.channels)}{query}"


def _normal(base_url: str) -> str:
    of_type("base_url", base_url, str, "a URL")
    problem = _problem_with(base_url)
    if problem is None:
        parts = urlsplit(base_url)
        return parts._replace(scheme=parts.scheme.replace("ws", "http")).geturl().rstrip("/")
    hint = "Give an address such as http://localhost:8766."
    # The address may contain a password, or be the token: the message does not repeat it.
    raise invalid_argument(f"base_url {problem}", path="base_url", hint=hint)


def _problem_with(base_url: str) -> str | None:
    try:
        parts = urlsplit(base_url)
        _ = parts.port
    except ValueError:
        return "is malformed"
    problems = {
        "has white space in it": any(character <= " " for character in base_url),
        "does not begin with http://, https://, ws:// or wss://": parts.scheme not in {"http", "https", "ws", "wss"},
        "names no host, or one that cannot be": not has_host(base_url),
        "carries a user name: the token is what authenticates": parts.username is not None,
        "has a query or a fragment": bool(parts.query or parts.fragment),
    }
    return next((problem for problem, is_there in problems.items() if is_there), None)


def has_host(url: str) -> bool:
    """Whether the URL names a host, and one that HTTPX and the resolver take."""
    try:
        return httpx.URL(url).host.encode("idna") != b""
    except (httpx.InvalidURL, UnicodeError):
        return False


def _segment(channels: Sequence[str]) -> str:
    return quote(",".join(channels), safe=",*")


def _list(names: Sequence[str] | None) -> str | None:
    return None if names is None else ",".join(names)


def _query(**parameters: str | float | None) -> str:
    given = {name: value for name, value in parameters.items() if value is not None}
    for name, value in given.items():
        require_well_formed(name, str(value))
    return f"?{urlencode(given, safe=',')}" if given else ""
