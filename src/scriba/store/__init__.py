"""What survives a crash: the database and the blobs."""
