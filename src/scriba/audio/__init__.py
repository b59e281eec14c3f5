"""Sound in: probing, decoding to 16 kHz mono float32, and voice activity."""
