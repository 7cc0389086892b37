"""Toy models, servers and runs, shared by tests and benchmarks."""
