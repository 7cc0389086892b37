"""Keeps loader workers alive through the signals that tell a run to save itself and stop.

SLURM sends them to every process of a job. A worker that died of one would take the batch down with it that the main
process has to finish; when to stop is for the main process to say.
"""

import multiprocessing
import os
import signal
import threading


def shield(worker_id: int) -> None:
    """Ignore SIGUSR1 and SIGUSR2, and SIGTERM unless it comes from the parent, in a loader worker.

    Args:
        worker_id: as torch passes it to a ``worker_init_fn``; not used.
    """
    del worker_id
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    # Ctrl-C reaches the whole foreground group; the parent shuts its workers down itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None and hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_obey, args=(parent.pid,), daemon=True).start()


def _obey(parent: int | None) -> None:
    """Wait for SIGTERM and leave when it is the parent's; not every system can say who sent a signal."""
    while True:
        if signal.sigwaitinfo({signal.SIGTERM}).si_pid == parent:
            os._exit(0)
