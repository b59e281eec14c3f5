"""Transcripts as files: JSON, text, subtitles and lyrics."""
