"""Inference: the Engine port, its adapters, and what stands between them and their many users."""
