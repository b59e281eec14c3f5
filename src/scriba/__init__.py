"""Scriba: a self-hosted speech-to-text server on Whisper."""

import os

QUIET = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY")
"""Nothing leaves the machine: onnxruntime and the hub's client report to their makers unless told not
to before they are imported."""

# One worker computes on one core. OpenBLAS would start a thread for every core and have it wait for more work
# by spinning: a product of five milliseconds for a spectrogram cost a hundred of another worker's time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

for _name in QUIET:
    os.environ.setdefault(_name, "1")

__version__ = "0.1.0"
