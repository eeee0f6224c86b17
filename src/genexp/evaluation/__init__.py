"""Evaluation: samples in, numbers out. Never imports a model."""
