"""Official metrics of the benchmarks, offline, from any embeddings."""
