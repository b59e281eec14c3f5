"""Voice from music: what was said apart from what else sounds."""
