import torch
from torch import Tensor

from eval.memo import OncePerTensor


def test_a_tensor_is_looked_at_once_until_it_is_written_to() -> None:
    seen: list[float] = []

    def total(batch: Tensor) -> float:
        seen.append(float(batch.sum()))
        return seen[-1]

    once, batch = OncePerTensor(total), torch.ones(3)
    assert (once(batch), once(batch), seen) == (3.0, 3.0, [3.0])
    batch += 1
    assert once(batch) == 6.0
    assert once(batch.clone()) == 6.0, "equal values in another tensor are looked at again"
    assert len(seen) == 3
    with torch.inference_mode():
        other = torch.ones(2)
    assert (once(other), once(other)) == (2.0, 2.0)


def test_results_go_with_their_tensors() -> None:
    once = OncePerTensor(lambda batch: batch * 2)
    kept = torch.ones(3)
    for _ in range(5):
        once(torch.ones(3))
        once(kept)
    assert len(once._known) == 1
