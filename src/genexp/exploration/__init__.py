"""What one does with a trained model: draws of its latents, paths between them, directions, inversion.

Each exploration is a module with a function `explore(subject, ...)` that writes its pictures into the run's folder.
"""
