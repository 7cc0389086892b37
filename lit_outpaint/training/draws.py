"""Random numbers that depend on neither the number of ranks nor on what was drawn before.

Those of a training batch depend on where training stands. They are drawn for the global batch, and each rank takes its
slice: one rank with batch 2B and two ranks with batch B train on the same noise, and a resumed run draws what an
undisturbed one would have drawn. Those of a held-out sample depend on its key.
"""

import hashlib
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor


class BatchDraws:
    """Draws for the samples that one rank holds of a global batch; their order is part of the result."""

    def __init__(
        self, seed: int, number: int, *, rank: int = 0, world_size: int = 1, device: torch.device | str = "cpu"
    ) -> None:
        """Seed the draws.

        Args:
            seed: of the run.
            number: of the batch, counted from 0 over the whole run.
            rank: which slice of the global batch is asked for.
            world_size: how many ranks share it, with as many samples each.
            device: where to draw; CPU and GPU draw different numbers.
        """
        self.generator = _generator(f"draws:{seed}:{number}", device)
        self.rank, self.world_size = rank, world_size

    def normal(self, like: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Unit Gaussian noise in the shape of ``like``, which holds a sample in each row."""
        size = (len(like) * self.world_size, *like.shape[1:])
        noise = torch.randn(size, generator=self.generator, device=self.generator.device, dtype=like.dtype)
        return self._slice(noise)

    def uniform(self, count: int) -> Float[Tensor, " {count}"]:
        """Numbers in [0, 1), one for each of a rank's ``count`` samples."""
        drawn = torch.rand(count * self.world_size, generator=self.generator, device=self.generator.device)
        return self._slice(drawn)

    def integers(self, count: int, high: int) -> Int[Tensor, " {count}"]:
        """Whole numbers in [0, ``high``), one for each of a rank's ``count`` samples."""
        size = (count * self.world_size,)
        return self._slice(torch.randint(high, size, generator=self.generator, device=self.generator.device))

    def _slice(self, drawn: Tensor) -> Tensor:
        share = len(drawn) // self.world_size
        return drawn[self.rank * share : (self.rank + 1) * share]


class SampleDraws:
    """Draws for samples by their keys, the same in whatever batch, on whatever rank and device they come."""

    def __init__(self, keys: Sequence[str], device: torch.device | str = "cpu") -> None:
        """Seed the draws.

        Args:
            keys: of the samples.
            device: where the numbers go; they are drawn on the CPU.
        """
        self.generators = [_generator(f"sample:{key}", "cpu") for key in keys]
        self.device = device

    def normal(self, like: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Unit Gaussian noise in the shape of ``like``, which holds a sample in each row."""
        rows = [torch.randn(like.shape[1:], generator=generator, dtype=like.dtype) for generator in self.generators]
        return torch.stack(rows).to(self.device)

    def integers(self, count: int, high: int) -> Int[Tensor, " {count}"]:
        """Whole numbers in [0, ``high``), one for each of the ``count`` samples."""
        assert count == len(self.generators)
        return torch.cat([torch.randint(high, (1,), generator=each) for each in self.generators]).to(self.device)


def _generator(name: str, device: torch.device | str) -> torch.Generator:
    digest = hashlib.sha256(name.encode()).digest()
    # A CPU generator keeps 32 bits of its seed.
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:4], "big"))
