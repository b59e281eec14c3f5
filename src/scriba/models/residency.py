"""Which loaded things stay in memory: shared, counted, unloaded when idle, within a budget."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from scriba.domain.errors import ModelUnavailableError


class Closable(Protocol):
    """What can be kept: it frees its memory when it is closed."""

    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


@dataclass(slots=True, eq=False)
class _Slot(Generic[T]):
    """One key. ``value`` is None while it loads; ``failure`` is set when that went wrong."""

    size: int
    users: int = 0
    value: T | None = None
    failure: BaseException | None = None
    ready: threading.Event = field(default_factory=threading.Event)
    idle_since: float = 0.0


class Residency(Generic[T]):
    """Keeps values by key. Thread-safe; loading and closing never hold up other keys.

    Args:
        budget_bytes: most memory for all values together, by the sizes that callers state; None is no limit.
        ttl: seconds without a user after which a value is closed; None keeps it until room is needed.
        pinned: says which keys are never closed for being idle. They do make room when nothing else can.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        budget_bytes: int | None = None,
        ttl: float | None = None,
        pinned: Callable[[str], bool] = lambda _key: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget = budget_bytes
        self._ttl = ttl
        self._pinned = pinned
        self._clock = clock
        self._lock = threading.Lock()
        self._slots: dict[str, _Slot[T]] = {}
        self._closed = False

    @contextmanager
    def acquire(self, key: str, load: Callable[[], T], size_bytes: int) -> Iterator[T]:
        """Use the value of ``key``, loading it first if it is absent.

        Two threads that ask for the same absent key load it once; if that fails both get the error, and who
        asks after that loads again.

        Args:
            load: makes the value; called on this thread, at most once.
            size_bytes: how much memory it will take.

        Raises:
            ModelUnavailableError: what is in use leaves no room for it, or ``close`` was called.
        """
        slot = self._enter(key, load, size_bytes)
        try:
            if slot.value is None:
                raise ModelUnavailableError("The model was unloaded. Try again.")
            yield slot.value
        finally:
            self._leave(slot)

    def sweep(self) -> list[str]:
        """Close what has been idle for longer than its time to live; the keys that were closed."""
        with self._lock:
            now = self._clock()
            expired = [
                key
                for key, slot in self._slots.items()
                if self._ttl is not None
                and _is_idle(slot)
                and not self._pinned(key)
                and now - slot.idle_since >= self._ttl
            ]
            values = [self._take(key) for key in expired]
        _close_all(values)
        return expired

    def next_sweep(self) -> float | None:
        """Seconds until ``sweep`` will find something, as things are now; None when nothing is idle."""
        with self._lock:
            if self._ttl is None:
                return None
            waits = [
                self._ttl - (self._clock() - slot.idle_since)
                for key, slot in self._slots.items()
                if _is_idle(slot) and not self._pinned(key)
            ]
        return max(0.0, min(waits)) if waits else None

    def resident(self) -> dict[str, int]:
        """Number of users of every value that is loaded."""
        with self._lock:
            return {key: slot.users for key, slot in self._slots.items() if slot.value is not None}

    @property
    def used_bytes(self) -> int:
        """Stated sizes of everything loaded or loading."""
        with self._lock:
            return self._used()

    def unload(self, key: str) -> bool:
        """Close a value that nobody uses. False when it is in use, loading or absent."""
        with self._lock:
            slot = self._slots.get(key)
            if slot is None or not _is_idle(slot):
                return False
            value = self._take(key)
        _close_all([value])
        return True

    def close(self) -> None:
        """Close every value. What is in use is closed when its last user leaves; nothing can be acquired."""
        with self._lock:
            self._closed = True
            values = [self._take(key) for key, slot in list(self._slots.items()) if _is_idle(slot)]
        _close_all(values)

    def _enter(self, key: str, load: Callable[[], T], size: int) -> _Slot[T]:
        with self._lock:
            if self._closed:
                raise ModelUnavailableError("The server is shutting down.")
            slot = self._slots.get(key)
            mine = slot is None
            evicted: list[T | None] = []
            if slot is None:
                evicted = self._make_room(size)
                slot = self._slots[key] = _Slot(size)
            slot.users += 1
        if mine:
            self._load(key, slot, load, evicted)
        else:
            slot.ready.wait()
        if slot.failure is not None:
            raise slot.failure
        return slot

    def _load(self, key: str, slot: _Slot[T], load: Callable[[], T], evicted: list[T | None]) -> None:
        try:
            _close_all(evicted)  # before loading: the room is needed now
            slot.value = load()
        except BaseException as error:
            slot.failure = error
            with self._lock:
                del self._slots[key]
        finally:
            slot.ready.set()

    def _leave(self, slot: _Slot[T]) -> None:
        abandoned: list[T | None] = []
        with self._lock:
            slot.users -= 1
            slot.idle_since = self._clock()
            if self._closed and slot.users == 0:
                abandoned = [self._take(key) for key, held in list(self._slots.items()) if held is slot]
        _close_all(abandoned)

    def _make_room(self, size: int) -> list[T | None]:
        """Take out idle values, longest idle first, until ``size`` fits. With the lock held."""
        if self._budget is None:
            return []
        if size > self._budget:
            raise ModelUnavailableError(
                f"The model needs about {_megabytes(size)} MB of memory; the limit is "
                f"{_megabytes(self._budget)} MB. Use a smaller model, or raise the memory budget."
            )
        idle = sorted(
            (key for key, slot in self._slots.items() if _is_idle(slot)),
            key=lambda key: (self._pinned(key), self._slots[key].idle_since),
        )
        free = self._budget - self._used()
        victims: list[str] = []
        for key in idle:
            if free >= size:
                break
            victims.append(key)
            free += self._slots[key].size
        if free < size:
            raise ModelUnavailableError(
                f"There is no memory for the model now: it needs about {_megabytes(size)} MB, and the models "
                "in use leave less than that. Try again when they are done, or raise the memory budget."
            )
        return [self._take(key) for key in victims]

    def _take(self, key: str) -> T | None:
        return self._slots.pop(key).value

    def _used(self) -> int:
        return sum(slot.size for slot in self._slots.values())


def _is_idle(slot: _Slot[T]) -> bool:
    return slot.users == 0 and slot.value is not None


def _close_all(values: list[T | None]) -> None:
    for value in values:
        if value is not None:
            value.close()


def _megabytes(size: int) -> int:
    return -(-size // 1_000_000)
