"""Replicas of data sets and models that are too large to ship: their form in full, their content
made up."""
