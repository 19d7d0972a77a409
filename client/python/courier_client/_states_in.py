"""Reads what the gateway sends of the state: items, notices and pages. No I/O happens here."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ._answers import json_in
from ._incoming import faults, unexpected
from ._model import AS_RECEIVED
from .contract import Contract
from .items import GenericItem, RemovedItem, StateItem, StateReady, StateReset

logger = logging.getLogger("courier_client")

AnyItem = StateItem[Any] | GenericItem | RemovedItem
StateMessage = AnyItem | StateReady | StateReset

AnyContract = Contract[Any, Any, Any, Any, Any]

_NOTICES: dict[Any, type[StateReady] | type[StateReset]] = {"state.ready": StateReady, "state.reset": StateReset}


@dataclass(frozen=True)
class StatePage:
    """One page of the state. A later item takes the place of an earlier one."""

    items: tuple[AnyItem, ...]
    next: str
    has_more: bool
    position: str
    is_reset: bool
    """Whether what came in earlier pages is of no use: this is the first one of others."""


def state_message_of(text: str | bytes, contract: AnyContract) -> StateMessage:
    """Reads one message of a subscription to the state. Raises UnexpectedAnswerError."""
    document = json_in(text)
    notice = _NOTICES.get(document.get("type")) if isinstance(document, dict) else None
    if notice is None:
        if isinstance(document, dict):
            # What to resume with where one event changes several entities; a watch of this client is of one.
            document.pop("cursor", None)
        return item_of(document, contract)
    try:
        return notice.model_validate(document, extra="allow", context=AS_RECEIVED)
    except ValidationError as error:
        raise unexpected("notice", error) from error


def item_of(document: Any, contract: AnyContract) -> AnyItem:
    """Reads an item: a GenericItem when the contract does not know the entity or the form of the state."""
    if isinstance(document, dict) and document.get("state") is None:
        return _read(RemovedItem, document)
    kind = contract.states.get(str(document.get("entity"))) if isinstance(document, dict) else None
    if kind is not None:
        try:
            return kind.model_validate(document, extra="allow", context=AS_RECEIVED)
        except ValidationError as error:
            logger.warning("a state of another contract is given as a GenericItem: %s", faults(error))
    return _read(GenericItem, document)


def _read(kind: type[GenericItem] | type[RemovedItem], document: Any) -> GenericItem | RemovedItem:
    try:
        return kind.model_validate(document, extra="allow", context=AS_RECEIVED)
    except ValidationError as error:
        raise unexpected("item of a state", error) from error


def state_page_of(document: Any, contract: AnyContract) -> StatePage:
    try:
        return StatePage(
            items=tuple(item_of(item, contract) for item in document["items"]),
            next=str(document["next"]),
            has_more=document["has_more"] is True,
            position=str(document["position"]),
            is_reset=document.get("reset") is not None,
        )
    except (KeyError, TypeError) as error:
        raise unexpected("page of the state", error) from error
