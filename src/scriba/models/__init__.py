"""Whisper weights: names, sources, conversion, storage and residency."""
