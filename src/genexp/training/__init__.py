"""Training: clock, update plans, randomness, EMA, strategies, checkpoints."""
