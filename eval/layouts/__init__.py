"""``python -m eval layouts``: which things stand on whole canvases, and how often."""
