"""How many recordings a client address may send: counted in true sliding windows, in Redis or in memory."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import structlog
from limits import RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string

from scriba.server.setting_sources import SettingsError
from scriba.server.settings import RedisFailure, Settings

log = structlog.get_logger(__name__)

_REDIS_SECONDS = 1.0
_NAMESPACE = "scriba-recordings"


def recording_limits(settings: Settings) -> RecordingLimits:
    """As the settings have them.

    Raises:
        SettingsError: Redis is asked for, and its client is not installed or the address is none.
    """
    return RecordingLimits(
        settings.max_recordings_per_minute,
        settings.max_recordings_per_hour,
        settings.max_recordings_per_day,
        redis_url=settings.redis_url.get_secret_value() if settings.redis_url is not None else None,
        closed_without_redis=settings.redis_failure is RedisFailure.CLOSED,
    )


class RecordingLimits:
    """Implements ``scriba.doors.recordings.connection.Limits``."""

    def __init__(
        self,
        minute: int,
        hour: int,
        day: int,
        *,
        redis_url: str | None = None,
        closed_without_redis: bool = False,
    ) -> None:
        self._items = (
            RateLimitItemPerMinute(minute, namespace=_NAMESPACE),
            RateLimitItemPerHour(hour, namespace=_NAMESPACE),
            RateLimitItemPerDay(day, namespace=_NAMESPACE),
        )
        self._memory = MovingWindowRateLimiter(MemoryStorage())
        self._pool: Any = None
        self._redis: MovingWindowRateLimiter | None = None
        if redis_url is not None:
            self._pool, storage = _redis(redis_url)
            self._redis = MovingWindowRateLimiter(storage)
        self._closed = closed_without_redis

    async def close(self) -> None:
        """Give up the connections to Redis."""
        if self._pool is not None:
            with suppress(Exception):
                await self._pool.disconnect()

    async def allow(self, client: str) -> bool:
        """Count a recording of this client, if all windows have room for it."""
        if self._redis is None:
            return await self._count(self._memory, client)
        try:
            async with asyncio.timeout(_REDIS_SECONDS):
                return await self._count(self._redis, client)
        except Exception as error:
            log.warning("redis cannot be asked", why=type(error).__name__, closed=self._closed)
            return not self._closed and await self._count(self._memory, client)

    async def _count(self, limiter: MovingWindowRateLimiter, client: str) -> bool:
        # Looked at first, so that a full day does not use up the minute as well; counting itself is atomic.
        for item in self._items:
            if not await limiter.test(item, client):
                return False
        for item in self._items:
            if not await limiter.hit(item, client):
                return False
        return True


def _redis(url: str) -> tuple[Any, Storage]:
    """A pool of connections, and the storage on it."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("redis", "rediss", "valkey", "valkeys"):
        raise SettingsError("REDIS_URL: must begin with redis:// or rediss://.")
    secure = "s" if scheme in ("rediss", "valkeys") else ""
    address = f"valkey{secure}://{rest}"
    try:
        from valkey.asyncio import ConnectionPool  # an optional package

        pool = ConnectionPool.from_url(address, socket_connect_timeout=_REDIS_SECONDS)
        more: Any = {"connection_pool": pool}
        storage = storage_from_string(f"async+{address}", **more)
    except ImportError:
        raise SettingsError("REDIS_URL: needs the Redis client: pip install 'scriba[redis]'.") from None
    except Exception as error:
        raise SettingsError("REDIS_URL: is no address of a Redis server.") from error
    assert isinstance(storage, Storage)  # noqa: S101 - the scheme says so
    return pool, storage
