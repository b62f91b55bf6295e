"""Contrastive training on triplet datasets."""
