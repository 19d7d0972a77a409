"""The models of the data of every event type, and of the metadata: those of `courier_client.events`."""

from .events import *  # noqa: F403 (the contract says which models there are)
