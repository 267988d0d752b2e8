"""The entry point of the group `inspect_ai`: Inspect imports it on every start, so nothing heavy is here."""

from __future__ import annotations

from inspect_ai.model import ModelAPI, modelapi


@modelapi(name="steergap")
def steergap() -> type[ModelAPI]:
    from steergap.provider import SteeredAPI

    return SteeredAPI
