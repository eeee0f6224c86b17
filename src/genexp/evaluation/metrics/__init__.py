"""Metrics: pure functions of feature matrices ``(N, d)``, computed in float64 with explicit generators."""
