"""The published dataset: parquet, card, Croissant, exporters, report."""
