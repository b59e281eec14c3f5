"""``POST /transcribe``: a recording in, its text out."""
