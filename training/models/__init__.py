"""Retrievers: an image, a text or both to one vector of unit length."""
