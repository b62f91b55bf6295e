"""Keeping a benchmark's images and texts out of what is mined: fingerprints of the benchmark, and what matches them."""
