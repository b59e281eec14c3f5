"""Which freed blocks stay with the process: asked of glibc itself, in processes of their own."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is tuned")

_HEAP_GROWN_BY = """
import ctypes
from scriba.engine import allocator

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "top")]

library = ctypes.CDLL(None)
library.mallinfo2.restype = Info
library.malloc.restype = ctypes.c_void_p
library.free.argtypes = [ctypes.c_void_p]
assert allocator.{tune}()
before = library.mallinfo2().arena
blocks = [library.malloc(size << 10) for size in (280, 1_000, 9_000, 36_000) for _ in range(4)]
for block in blocks[:-1]:
    library.free(block)
print(library.mallinfo2().arena - before)
"""


def grown(tune: str) -> int:
    """Bytes by which the heap has grown, with all but the last of sixteen large blocks freed again."""
    command = [sys.executable, "-c", _HEAP_GROWN_BY.format(tune=tune)]
    return int(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)


def test_large_blocks_leave_no_holes_on_the_heap() -> None:
    assert grown("tune_allocator") < 4 << 20


def test_ctranslate2_keeps_what_it_frees() -> None:
    assert grown("keep_large_blocks") > 100 << 20
