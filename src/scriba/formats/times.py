"""Seconds as the time stamps of each format. All go through whole milliseconds, so that they agree."""

from __future__ import annotations


def milliseconds(seconds: float) -> int:
    """Nearest whole millisecond, never below zero."""
    return max(0, round(seconds * 1000))


def _clock(ms: int) -> tuple[int, int, int, int]:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return hours, minutes, seconds, ms


def srt_time(ms: int) -> str:
    """``HH:MM:SS,mmm``; hours grow beyond two digits."""
    hours, minutes, seconds, rest = _clock(ms)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d},{rest:03d}"


def vtt_time(ms: int) -> str:
    """``HH:MM:SS.mmm``; hours are always written, and grow beyond two digits."""
    hours, minutes, seconds, rest = _clock(ms)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}.{rest:03d}"


def lrc_time(ms: int) -> str:
    """``mm:ss.xx``, cut off to hundredths so that order is kept; minutes grow beyond two digits."""
    minutes, rest = divmod(ms, 60_000)
    seconds, rest = divmod(rest, 1000)
    return f"{minutes:02d}:{seconds:02d}.{rest // 10:02d}"
