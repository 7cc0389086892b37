"""How much a loader's workers need of /dev/shm, which containers keep small: 64 MB by default, some a few kB.

Batches of prepared shards lie in memory of their own (`slots.Slots`); locks of the workers' queues, and pixels that are
to be encoded in training, go through /dev/shm.
"""

import logging
import shutil
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

SHM: Final = Path("/dev/shm")
LOCKS_BYTES: Final = 1 << 20
"""What queues and small tensors of all workers take, with room to spare."""


def workers_that_fit(workers: int, pixel_bytes: int, ahead: int = 2, ranks: int = 1) -> int:
    """The number of workers, or 0 with a line that says why, where /dev/shm is too small for any.

    Args:
        workers: as many as are wanted.
        pixel_bytes: of a batch, what its pixels take; 0 where none come.
        ahead: batches that a worker prepares.
        ranks: processes of this machine that each have so many workers.
    """
    if workers == 0:
        return 0
    try:
        free = shutil.disk_usage(SHM).free // ranks
    except OSError:
        free = 0
    # One more is being unpacked.
    needed = LOCKS_BYTES + workers * (ahead + 1) * pixel_bytes
    if needed <= free:
        return workers
    log.warning(
        "%d loader workers need %.0f MB of %s, which has %.0f MB for each rank: data is loaded in the training process"
        " instead; give the container more (docker run --shm-size=1g) or set fewer data.num_workers",
        workers,
        needed / 1e6,
        SHM,
        free / 1e6,
    )
    return 0
