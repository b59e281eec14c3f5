"""The task interface: Whisper-WebUI's REST backend."""
