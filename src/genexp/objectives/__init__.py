"""Objectives: pure functions and small frozen objects; raw logits, real-high, nats."""
