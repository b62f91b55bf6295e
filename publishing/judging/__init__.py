"""Judging: a sample of triplets on a sheet for people, what they said of it, and how far they agree."""
