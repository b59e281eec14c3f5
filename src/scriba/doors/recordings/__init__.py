"""Short recordings over a WebSocket at ``/ws`` and ``/ws/transcribe``."""
