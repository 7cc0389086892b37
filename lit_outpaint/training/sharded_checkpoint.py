"""Checkpoints of sharded runs: a directory with one file a rank, readable by any number of ranks, or by none.

``meta.pt`` holds the checkpoint with a note in place of every sharded tensor; ``rank-NNN.pt`` holds the rows of these
tensors that a rank had. All of them load with ``weights_only=True``. torch's own format keeps its table of contents as
a pickle, which would have to be trusted.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard

from lit_outpaint.data.remote import is_url
from lit_outpaint.system.files import written_whole
from lit_outpaint.training.sharding import local, rows_of

META: Final = "meta.pt"
_NOTE: Final = "sharded"


def rank_file(rank: int) -> str:
    """Name of a rank's file."""
    return f"rank-{rank:03d}.pt"


def rank_files(directory: Path) -> list[str]:
    """Names of the files that belong to a checkpoint whose ``meta.pt`` can be read."""
    meta = load_mapped(directory / META)
    return [rank_file(rank) for rank in range(meta["world_size"])]


def write_shards(checkpoint: dict[str, Any], directory: Path, rank: int, world_size: int) -> None:
    """Write a rank's file, and ``meta.pt`` on rank 0, into a directory that is there.

    Args:
        checkpoint: with sharded tensors anywhere in it; the same on all ranks but for what these hold.
        directory: where to.
        rank: this one.
        world_size: how many write.
    """
    parts: list[Tensor] = []

    def note(tree: Any) -> Any:
        if isinstance(tree, DTensor):
            parts.append(local(tree).detach())
            return {_NOTE: len(parts) - 1, "shape": list(tree.shape), "dtype": str(tree.dtype).removeprefix("torch.")}
        if isinstance(tree, dict):
            return {key: note(value) for key, value in tree.items()}
        if type(tree) in (list, tuple):
            return type(tree)(note(value) for value in tree)
        return tree

    noted = note(checkpoint)
    torch.save([_alone(part) for part in parts], directory / rank_file(rank))
    if rank == 0:
        torch.save({"world_size": world_size, "checkpoint": noted, **_head(checkpoint)}, directory / META)


def load_mapped(path: Path) -> Any:
    """Tensors and plain values of a file, with the tensors left in the file until they are used.

    A file that another takes the place of stays readable through what is mapped of it.
    """
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def read_shards(directory: Path, mesh: DeviceMesh | None = None, without: Collection[str] = ()) -> dict[str, Any]:
    """Read a sharded checkpoint.

    Args:
        directory: as `write_shards` left it.
        mesh: cut the tensors over these ranks, and read no more than this one's rows; None gives whole tensors.
        without: keys of the checkpoint to leave out.

    Raises:
        ValueError: a file is missing or damaged.
    """
    try:
        meta = torch.load(directory / META, map_location="cpu", weights_only=True)
        names = rank_files(directory)
        files = [load_mapped(directory / name) for name in names]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{directory} must be a checkpoint of a sharded run, but a file of it cannot be read"
        ) from error

    def fill(tree: Any) -> Any:
        if isinstance(tree, dict) and _NOTE in tree:
            return _gather([file[tree[_NOTE]] for file in files], torch.Size(tree["shape"]), mesh)
        if isinstance(tree, dict):
            return {key: fill(value) for key, value in tree.items()}
        if type(tree) in (list, tuple):
            return type(tree)(fill(value) for value in tree)
        return tree

    filled: dict[str, Any] = fill({key: value for key, value in meta["checkpoint"].items() if key not in without})
    return filled


def _alone(part: Tensor) -> Tensor:
    """The tensor, or a copy where it is a view, which would drag the whole buffer behind it into the file."""
    return part if part.untyped_storage().nbytes() == part.nbytes else part.cpu().clone()


def _head(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """What can be asked for without reading the rest."""
    return {"global_step": checkpoint["global_step"]} if "global_step" in checkpoint else {}


def _gather(parts: list[Tensor], shape: torch.Size, mesh: DeviceMesh | None) -> Tensor:
    """Put rows of several ranks together: all of them, or those that this rank holds."""
    if mesh is None:
        return torch.cat(parts).reshape(shape)
    wanted = rows_of(shape[0], mesh.get_local_rank(), mesh.size())
    rows, start = [], 0
    for part in parts:
        low, high = max(wanted.start - start, 0), min(wanted.stop - start, len(part))
        if low < high:
            rows.append(part[low:high])
        start += len(part)
    mine = torch.cat(rows) if rows else parts[0][:0]
    stride = torch.empty(shape, device="meta").stride()
    placements = [Shard(0)]
    return DTensor.from_local(mine.to(mesh.device_type), mesh, placements, run_check=False, shape=shape, stride=stride)


class AnyCheckpointIO(TorchCheckpointIO):
    """Reads checkpoints of either kind, so that every strategy continues from both; writes one file.

    Lightning's own way builds the whole file in memory and again in TMPDIR. Here tensors go straight into a draft
    beside the file.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a file, whole or not at all."""
        if is_url(str(path)):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with written_whole(Path(path)) as draft:
            torch.save(checkpoint, draft)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Map a file, or put a directory together."""
        if is_url(str(path)):
            return super().load_checkpoint(path, map_location, weights_only=True)
        loaded: dict[str, Any] = read_shards(Path(path)) if Path(path).is_dir() else load_mapped(Path(path))
        return loaded
