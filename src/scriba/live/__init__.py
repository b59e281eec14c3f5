"""Live speech: a stream of audio in, words as they are said out."""
