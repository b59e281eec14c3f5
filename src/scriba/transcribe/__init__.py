"""From a recording to a transcript."""
