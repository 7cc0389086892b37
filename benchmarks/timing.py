"""Interleaved timing of two ways to do the same work, and the report about it.

The two take turns within one process, so that a busy or throttled machine slows both alike; the ratio of the medians is
what the report is about, the absolute times only describe the machine.
"""

import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

REPORTS = Path(__file__).parent / "reports"
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""What is counted: time that passes, or CPU time of all threads, which is the sturdier one beside other work on the
machine and says nothing about a GPU."""
_LOAD_BEFORE = round(os.getloadavg()[0], 2)
"""Of the machine when the benchmark was imported: later it would count the benchmark's own work."""
_LIBRARIES = ("torch", "diffusers", "transformers", "lightning")


def interleave(
    contenders: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 1, clock: str = "wall"
) -> dict[str, list[float]]:
    """Call every contender once a round, in an order that turns by one each round.

    Args:
        contenders: name to the work itself.
        rounds: timed rounds, positive.
        warmup: untimed rounds before them.
        clock: one of ``CLOCKS``.

    Returns:
        Seconds of every timed call, by name.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be positive, got {rounds}")
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for round_index in range(-warmup, rounds):
        shift = round_index % len(names)
        for name in names[shift:] + names[:shift]:
            elapsed = timed(contenders[name], clock)
            if round_index >= 0:
                seconds[name].append(elapsed)
    return seconds


def timed(work: Callable[[], object], clock: str = "wall") -> float:
    """Seconds that one call takes, the device's queue included."""
    synchronise()
    start = CLOCKS[clock]()
    work()
    synchronise()
    return CLOCKS[clock]() - start


def synchronise() -> None:
    """Wait until the device has done what was asked of it."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def summarise(ours: Sequence[float], plain: Sequence[float]) -> dict[str, float | int]:
    """Medians in milliseconds and their ratio; a ratio above 1 means that ours is faster."""
    ours_ms, plain_ms = (1e3 * statistics.median(times) for times in (ours, plain))
    return {
        "ours_ms": round(ours_ms, 2),
        "plain_ms": round(plain_ms, 2),
        "plain_over_ours": round(plain_ms / ours_ms, 3),
        "n": min(len(ours), len(plain)),
    }


def write_report(
    name: str, settings: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]], *, whole: bool = True
) -> None:
    """Print the rows and write them with the machine and versions to ``benchmarks/reports/NAME.json``.

    A run of some rows alone, not ``whole``, only prints: its report would replace that of all rows with a part. What
    a file had better not have in its name, such as the slash of a hub name, becomes an underscore.
    """
    report = {
        "benchmark": name,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "load_before": _LOAD_BEFORE,
        },
        "versions": {library: version(library) for library in _LIBRARIES},
        "settings": dict(settings),
        "rows": {key: dict(row) for key, row in rows.items()},
    }
    for key, row in rows.items():
        if "ours_ms" not in row:
            print(f"{key:32s}", *(f"{name} {value}" for name, value in row.items()))
            continue
        print(
            f"{key:32s} ours {row['ours_ms']:9.1f} ms   plain {row['plain_ms']:9.1f} ms   "
            f"plain/ours {row['plain_over_ours']:.2f}   n={row['n']}"
        )
    if not whole:
        print("a part of the benchmark: no report is written")
        return
    REPORTS.mkdir(parents=True, exist_ok=True)
    path = REPORTS / (re.sub(r"[^\w.-]", "_", name) + ".json")
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"wrote {path.relative_to(REPORTS.parents[1])}")
