"""Reports of runs: HTML pages that need no other file, and Markdown."""
