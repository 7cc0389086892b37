"""Choices that depend on a sample's key alone: never on the order of arrival, the batch size or the rank."""

import hashlib
from collections.abc import Iterable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

HASH_BITS = 63
NO_HASH = 2**HASH_BITS - 1
"""Marks an empty place of a pool; larger than any hash of a key."""


def key_hash(key: str, seed: int = 0) -> int:
    """An even hash of a key in ``[0, 2**63 - 1)``: the place of a sample in an order that is random but fixed."""
    digest = hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=8).digest()
    return min(int.from_bytes(digest, "big") >> 1, NO_HASH - 1)


def key_hashes(keys: Iterable[object], seed: int = 0) -> Int64[Tensor, " n"]:
    """``key_hash`` of the text of each key."""
    return torch.tensor([key_hash(str(key), seed) for key in keys], dtype=torch.int64)


def bucket_of(hashes: Int64[Tensor, " n"], num_buckets: int) -> Int64[Tensor, " n"]:
    """The bucket of each hash when the range of hashes is cut into equal parts; buckets keep the order of hashes.

    Args:
        hashes: of ``key_hash``.
        num_buckets: at most 2**20.
    """
    # The upper 42 bits decide, so that the product stays below 2**63.
    return (hashes >> (HASH_BITS - 42)) * num_buckets >> 42


def keep_smallest(
    hashes: Int64[Tensor, " n"], rows: Float[Tensor, "n d"], count: int
) -> tuple[Int64[Tensor, " m"], Float[Tensor, "m d"]]:
    """The rows with the smallest hashes, in the order of hashes.

    Rows drawn so are a random sample without replacement of all rows ever offered, however they were offered: keeping
    the smallest of kept parts gives the smallest of the whole.

    Args:
        hashes: one per row; rows with ``NO_HASH`` are dropped.
        rows: what is kept.
        count: at most this many.
    """
    used = hashes < NO_HASH
    order = torch.argsort(hashes[used], stable=True)[:count]
    return hashes[used][order], rows[used][order]
