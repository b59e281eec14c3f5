"""OpenAI's Realtime API, transcription sessions: a WebSocket at ``/v1/realtime``."""
