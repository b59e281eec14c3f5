"""The search for text over a decoder that only knows logits: Whisper's token rules, greedy, beams and sampling."""
