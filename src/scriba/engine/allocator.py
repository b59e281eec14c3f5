"""Which freed memory glibc keeps for the next window, and which it gives back to the kernel.

Blocks of this size and more get pages of their own, which go back when they are freed: the weights as they
are read, the rooms of a batch that has grown. On the heap each would leave a hole that something else pins,
and the holes of a few minutes' work add up to a hundred megabytes (docs/decoding.md).

CTranslate2 cannot have that. Each of its 30 s encodes allocates and frees hundreds of megabytes in large
blocks, and the page faults would cost more than a third of the encode. OpenVINO keeps what it computes in.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from functools import cache

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

_GIGABYTE = 1 << 30
_OWN_PAGES = 256 << 10
"""Bytes: below the 280 KiB of a kernel's code, of which only some pages are ever written."""

_Mallopt = Callable[[int, int], int]


@cache
def tune_allocator() -> bool:
    """Set glibc's allocator up for inference; once, before the first thread is started.

    Returns:
        True when it was done, False on another C library.
    """
    mallopt = _mallopt()
    return mallopt is not None and all(
        (
            mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES),
            # No more: blocks of any size are cut from the heap's end where they fit.
            mallopt(_M_TOP_PAD, 1 << 20),
            mallopt(_M_TRIM_THRESHOLD, 16 << 20),
            mallopt(_M_ARENA_MAX, 1),
        )
    )


@cache
def keep_large_blocks() -> bool:
    """From now on large blocks stay with the process when they are freed, too. Returns: as above."""
    mallopt = _mallopt()
    return (
        tune_allocator()
        and mallopt is not None
        and all(
            (
                mallopt(_M_MMAP_THRESHOLD, _GIGABYTE),
                mallopt(_M_TOP_PAD, 64 << 20),
                mallopt(_M_TRIM_THRESHOLD, _GIGABYTE),
            )
        )
    )


def _mallopt() -> _Mallopt | None:
    if platform.libc_ver()[0] != "glibc":
        return None
    mallopt = ctypes.CDLL(None).mallopt
    mallopt.argtypes = (ctypes.c_int, ctypes.c_int)
    mallopt.restype = ctypes.c_int
    own: _Mallopt = mallopt
    return own
