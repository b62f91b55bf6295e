"""The page that a training leaves beside its model."""
