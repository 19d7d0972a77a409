"""Writes instants: the one form in which the client sends them, wherever they stand in an event."""

from __future__ import annotations

from datetime import datetime, timezone

NO_ZONE = "has no time zone: use datetime.now(timezone.utc)"
OUT_OF_RANGE = "must be within the years 1 to 9999"
TOO_FINE = "must have at most 6 digits after the seconds, as many as a datetime holds"


def instant_text(instant: datetime) -> str:
    """The instant in UTC, with milliseconds as in JavaScript, or with microseconds where it has any: nothing is cut.

    Raises ValueError for a datetime without a time zone, for one whose year in UTC is not 1 to 9999, and for one with
    nanoseconds, which that of Pandas may have.
    """
    if instant.utcoffset() is None:
        raise ValueError(NO_ZONE)
    if getattr(instant, "nanosecond", 0):
        raise ValueError(TOO_FINE)
    try:
        utc = instant.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError(OUT_OF_RANGE) from None
    precision = "microseconds" if utc.microsecond % 1000 else "milliseconds"
    return utc.isoformat(timespec=precision).replace("+00:00", "Z")
