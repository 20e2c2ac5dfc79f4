"""Measurements; README.md says which answers what."""
