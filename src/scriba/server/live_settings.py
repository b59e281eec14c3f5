"""Settings of live sessions. Their defaults are those of ``scriba.live``."""

from __future__ import annotations

from pydantic import Field

from scriba.live.service import LiveLimits
from scriba.server.setting_groups import Group

_LIVE = LiveLimits()


class LiveSettings(Group):
    """How many live sessions there may be, how long, and what is kept of them."""

    max_sessions: int = Field(
        _LIVE.max_sessions,
        ge=0,
        le=10_000,
        description="Live sessions at once; one more is refused. The machine may be full before that.",
    )
    max_seconds: float = Field(
        _LIVE.max_seconds, gt=0, description="The longest session, in seconds of its audio."
    )
    buffer_seconds: float = Field(
        _LIVE.buffer_seconds,
        ge=5,
        le=600,
        description="Audio of a session held in memory; beyond it the client is made to wait.",
    )
    resume_seconds: float = Field(
        _LIVE.resume_seconds,
        ge=0,
        description="A client that lost its connection may come back for so long; then the session ends.",
    )
    keep_seconds: float = Field(
        _LIVE.keep_seconds,
        ge=0,
        description="Audio and text of a session are kept on disk for so long after its end.",
    )
    sync_seconds: float = Field(
        _LIVE.sync_seconds,
        ge=0,
        le=60,
        description="Audio is written at once, and forced to the disk and acknowledged this often.",
    )
    max_frame_bytes: int = Field(
        _LIVE.max_frame_bytes, ge=1024, description="The largest message of the live protocol, in bytes."
    )

    exact: bool = Field(
        _LIVE.exact,
        description="Leave nothing out when the machine is full: a transcript depends on its audio alone, "
        "but words come later.",
    )

    def limits(self) -> LiveLimits:
        return LiveLimits(**self.model_dump())
