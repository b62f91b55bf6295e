"""Datasets as training reads them: rows in windows, images by number, features computed once, batches by step."""
