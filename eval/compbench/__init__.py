"""``python -m eval compbench``: what of a prompt is to be seen in the picture drawn from it, statement by statement."""
