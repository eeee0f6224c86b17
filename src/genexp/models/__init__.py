"""Models: one LightningModule per family."""
