"""A canvas as a file for other programs, and as a page to look at."""
