"""The mathematics of diffusion training as pure functions: tensors in, tensors out."""
