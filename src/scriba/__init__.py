"""Scriba: a self-hosted speech-to-text server on Whisper."""

__version__ = "0.1.0"
