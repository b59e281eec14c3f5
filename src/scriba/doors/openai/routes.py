"""All of OpenAI's routes that Scriba serves."""

from __future__ import annotations

from fastapi import APIRouter

from scriba.doors.context import DoorContext
from scriba.doors.openai.audio import audio_router
from scriba.doors.openai.models import models_router


def openai_router(context: DoorContext) -> APIRouter:
    """The door's routes."""
    router = APIRouter()
    router.include_router(audio_router(context))
    router.include_router(models_router(context))
    return router
