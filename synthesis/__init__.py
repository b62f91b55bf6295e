"""Instructions for image pairs: requests, writers, filters, verification."""
