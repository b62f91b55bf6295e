"""Reading pages: markup to a page, and to the places of images on it."""
