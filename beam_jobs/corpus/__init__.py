"""Jobs and index steps of the miners that see the whole corpus."""
