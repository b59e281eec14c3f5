"""JSON over a WebSocket at ``/``: a stream in chunks, or a whole file, in base64."""
