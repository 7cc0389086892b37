"""Results for the last few tensors, so that metrics that look at one batch share one forward pass."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from torch import Tensor

_Result = TypeVar("_Result")


class LastBatches(Generic[_Result]):
    """Calls a function once for each of the last tensors.

    A tensor is known by its identity and version: equal values in another tensor are computed anew, and so is a tensor
    that was written to.

    Args:
        function: of one tensor.
        max_bytes: more than the last two, a batch of pictures and one of references, are remembered as long as all of
            them together take no more.
    """

    def __init__(self, function: Callable[[Tensor], _Result], max_bytes: int = 64 << 20) -> None:
        self._function = function
        self._max_bytes = max_bytes
        self._known: OrderedDict[int, tuple[Tensor, int | None, _Result]] = OrderedDict()

    def __call__(self, batch: Tensor) -> _Result:
        """The result for a tensor."""
        # Tensors made in inference mode keep no version.
        version = None if batch.is_inference() else batch._version
        known = self._known.get(id(batch))
        # The tensor is held here, so that its id cannot pass on to another one.
        if known is not None and known[1] == version:
            self._known.move_to_end(id(batch))
            return known[2]
        result = self._function(batch)
        self._known[id(batch)] = (batch, version, result)
        while len(self._known) > 2 and sum(tensor.nbytes for tensor, _, _ in self._known.values()) > self._max_bytes:
            self._known.popitem(last=False)
        return result
