"""Sweeps: many runs from one command, each in a process of its own, each found again by its content."""
