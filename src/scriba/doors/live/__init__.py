"""Scriba's own live protocol: a WebSocket at ``/v1/live``, and what is left of a session by HTTP."""
