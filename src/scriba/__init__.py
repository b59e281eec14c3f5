"""Scriba: a self-hosted speech-to-text server on Whisper."""

import os

QUIET = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY")
"""Nothing leaves the machine: onnxruntime and the hub's client report to their makers unless told not
to before they are imported."""

for _name in QUIET:
    os.environ.setdefault(_name, "1")

__version__ = "0.1.0"
