"""Results by tensor, so that metrics that look at one batch share one forward pass."""

from collections.abc import Callable
from typing import Generic, TypeVar

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

_Result = TypeVar("_Result")


class OncePerTensor(Generic[_Result]):
    """Calls a function once for each tensor, and forgets what it gave together with the tensor.

    A tensor is known by its identity and version: equal values in another tensor are computed again, and so is a tensor
    that was written to.

    Args:
        function: of one tensor; what it gives must not hold that tensor.
    """

    def __init__(self, function: Callable[[Tensor], _Result]) -> None:
        self._function = function
        self._known: WeakIdKeyDictionary = WeakIdKeyDictionary()

    def __call__(self, batch: Tensor) -> _Result:
        """The result for a tensor."""
        # Tensors made in inference mode keep no version.
        version = None if batch.is_inference() else batch._version
        known: tuple[int | None, _Result] | None = self._known.get(batch)
        if known is None or known[0] != version:
            known = self._known[batch] = version, self._function(batch)
        return known[1]
