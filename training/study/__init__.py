"""Data studies: trainings on parts of a dataset, scored on one split, to see which part earns its place."""
