"""Where streams wait for their turn: what they hear is decided when it comes, not when they ask for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable


class Gate:
    """So many streams are inside at once, the others wait in the order in which they came. Belongs to one
    event loop."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._inside: set[Hashable] = set()
        self._outside: dict[Hashable, Callable[[], None]] = {}

    def enter(self, stream: Hashable, wake: Callable[[], None]) -> bool:
        """Whether the stream is inside; if not it waits, and ``wake`` is called when it is."""
        if stream in self._inside:
            return True
        if self._outside or len(self._inside) >= self._places:
            self._outside.setdefault(stream, wake)
            return False
        self._inside.add(stream)
        return True

    def leave(self, stream: Hashable) -> None:
        """It has no business inside any more, nor does it wait."""
        self._outside.pop(stream, None)
        self._inside.discard(stream)
        while self._outside and len(self._inside) < self._places:
            first = next(iter(self._outside))
            self._inside.add(first)
            self._outside.pop(first)()
