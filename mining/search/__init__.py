"""Nearest neighbours of a corpus: vectors of a view, exact and approximate indexes, lists of parts put together."""
