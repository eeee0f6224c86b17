"""Reporting: tables, grids and plots that a person reads."""
