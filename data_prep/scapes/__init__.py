"""The scapes world: a procedural benchmark with ground truth, and the training of its tiny models."""
