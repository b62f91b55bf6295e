"""Scores of pairs and images that a filter may use: one file each, pure functions on texts, rows and arrays."""
