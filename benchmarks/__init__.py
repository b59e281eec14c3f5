"""Speed, accuracy and memory against a baseline that runs on the same machine in the same minutes.

Every command prints ratios to faster-whisper 1.2.1 (int8, sequential, beam 1, the same weights).
``make bench`` runs all of them.
"""
