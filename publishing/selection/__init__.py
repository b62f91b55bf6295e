"""A subset of a dataset's training triplets, by quality and by what they cover."""
