"""How the machine is shared out between windows."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """``workers`` windows at once, ``threads`` cores each."""

    workers: int
    threads: int

    @classmethod
    def for_machine(cls, workers: int = 0, threads: int = 0) -> Layout:
        """Fill in zeros by measurement: on few cores, one thread a worker wins (docs/decoding.md)."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if threads == 0:
            threads = max(1, min(4, cores // workers)) if workers else (1 if cores <= 4 else 2)
        return cls(workers=workers or max(1, cores // threads), threads=threads)
