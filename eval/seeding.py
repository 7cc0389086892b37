"""One random generator per drawn picture, so that a picture depends on its key and not on how pictures were batched."""

import hashlib

import torch


def key_generator(seed: int, key: str) -> torch.Generator:
    """A CPU generator that belongs to a seed and a key; noise drawn on the CPU is the same on every device."""
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
