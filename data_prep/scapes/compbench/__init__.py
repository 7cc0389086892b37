"""Prompts with ground truth for text-to-image, in the words of the scapes world, and true pictures of them."""
