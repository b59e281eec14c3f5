"""Keeping glibc from giving memory back to the kernel between two windows.

Each 30 s encode allocates and frees hundreds of megabytes in large blocks. With glibc's defaults each is
mapped and unmapped anew, and the page faults cost more than a third of the encode (docs/decoding.md).
"""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

_tuned = False


def tune_allocator() -> bool:
    """Set glibc's allocator up for inference; once, before the first model is loaded.

    Returns:
        True when it was done, False on another C library.
    """
    global _tuned
    if _tuned:
        return True
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    mallopt.argtypes = (ctypes.c_int, ctypes.c_int)
    mallopt.restype = ctypes.c_int
    gigabyte = 1 << 30
    _tuned = all(
        (
            mallopt(_M_MMAP_THRESHOLD, gigabyte),
            mallopt(_M_TRIM_THRESHOLD, gigabyte),
            mallopt(_M_TOP_PAD, 64 << 20),
            mallopt(_M_ARENA_MAX, 1),
        )
    )
    return _tuned
