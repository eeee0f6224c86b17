"""Data: one LightningDataModule per kind of source, batches keyed by the step."""
