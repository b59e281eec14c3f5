"""The database's revisions, applied when a process that uses it starts."""
