"""Transport of ``/v1/models``."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from scriba.domain.errors import ModelNotFoundError
from scriba.doors.context import DoorContext, ModelCard
from scriba.doors.forms import shown
from scriba.doors.openai import wire
from scriba.doors.schema import error_responses


def models_router(context: DoorContext) -> APIRouter:
    """List and retrieve. A model's id may hold slashes."""
    router = APIRouter(prefix="/v1/models", tags=["OpenAI models"])

    @router.get(
        "",
        response_model=wire.ModelList,
        summary="Models that can serve now",
        responses=error_responses(wire.ErrorReply, 401),
    )
    async def list_models() -> wire.ModelList:
        """Installed models, and the other names they answer to."""
        cards = await asyncio.to_thread(context.models.models)
        return wire.ModelList(data=[_model(card) for card in cards])

    @router.get(
        "/{model:path}",
        response_model=wire.Model,
        summary="One model",
        responses=error_responses(wire.ErrorReply, 401, 404),
    )
    async def retrieve_model(model: str) -> wire.Model:
        """One of the models of the list."""
        card = await asyncio.to_thread(context.models.find, model)
        if card is None:
            raise ModelNotFoundError(
                f"The model {shown(model)} is not here. `GET /v1/models` lists those that are.", field="model"
            )
        return _model(card)

    return router


def _model(card: ModelCard) -> wire.Model:
    return wire.Model(id=card.id, created=card.created, owned_by=card.owned_by)
