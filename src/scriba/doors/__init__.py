"""The front doors: each speaks the wire format of one kind of client and knows nothing of models."""
