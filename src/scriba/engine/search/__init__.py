"""The search for text over a decoder that knows logits only: the rules, greedy, beams, sampling."""
