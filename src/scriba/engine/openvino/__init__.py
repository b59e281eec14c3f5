"""Whisper in OpenVINO on the CPU: encoder, decoder and the engine made of both."""
