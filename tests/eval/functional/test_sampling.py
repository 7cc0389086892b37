import torch

from eval.functional.sampling import HASH_BITS, bucket_of, keep_smallest, key_hash, key_hashes


def test_hashes_are_fixed_even_and_seeded() -> None:
    hashes = key_hashes(range(4000))
    assert int(hashes[7]) == key_hash("7")
    assert abs(float(hashes.double().mean()) / 2**HASH_BITS - 0.5) < 0.02
    assert key_hash("7", seed=1) != key_hash("7")


def test_buckets_are_equal_and_keep_the_order() -> None:
    hashes = key_hashes(range(6400)).sort().values
    buckets = bucket_of(hashes, 640)
    assert bool((buckets.diff() >= 0).all())
    counts = torch.bincount(buckets, minlength=640)
    assert len(counts) == 640
    assert counts.max() < 30
    edges = torch.tensor([0, 2**HASH_BITS - 2])
    assert bucket_of(edges, 640).tolist() == [0, 639]


def test_smallest_of_parts_are_the_smallest_of_the_whole() -> None:
    hashes, rows = key_hashes(range(50)), torch.randn(50, 2)
    whole = keep_smallest(hashes, rows, 10)
    parts = [keep_smallest(hashes[start::3], rows[start::3], 10) for start in range(3)]
    joined = keep_smallest(torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts]), 10)
    assert torch.equal(whole[0], joined[0])
    assert torch.equal(whole[1], joined[1])
