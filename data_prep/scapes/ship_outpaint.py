"""Ship a fine-tuning run: export its checkpoint into the family and note in ``training.json`` what it took.

    python -m data_prep.scapes.ship_outpaint --run runs/scapes --out models/scapes

Everything noted is read from the run directory and its shard set; nothing is entered by hand.
"""

import argparse
import csv
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from data_prep.scapes.command import note
from lit_outpaint.cli.export import export
from lit_outpaint.data.shard_set import load_card
from lit_outpaint.training.checkpoint import read_checkpoint

PART = "outpaint"


def training_note(run: Path) -> dict[str, Any]:
    """Seed, rate, windows, steps, minutes, size and machine of a finished run.

    Raises:
        FileNotFoundError: the run lacks one of its files.
    """
    config = yaml.safe_load((run / "config.yaml").read_text())
    record = json.loads((run / "run.json").read_text())
    checkpoint = read_checkpoint(run / "last.ckpt")
    averages = checkpoint["ema"]["averages"]
    # A run that was killed after its last checkpoint, and before the first row was written, has no table.
    table = run / "metrics.csv"
    rows = csv.DictReader(table.read_text().splitlines()) if table.is_file() else ()
    seconds = stepping_seconds(rows, config["data"]["batch_size"])
    return {
        "seed": record["seed"],
        "lr": config["model"]["optim"]["lr"],
        "windows": load_card(Path(config["data"]["shards"])).samples("train"),
        "steps": checkpoint["global_step"],
        "minutes": round(seconds / 60, 1),
        "parameters": sum(average.numel() for average in averages.values()),
        "machine": record["machine"],
        "torch": record["versions"]["torch"],
    }


def stepping_seconds(rows: Iterable[Mapping[str, str]], batch_size: int) -> float:
    """Time spent in training steps, by the logged speeds; validation and pictures are left out.

    >>> stepping_seconds([{"step": "9", "perf/images_per_s": "8"}, {"step": "19", "perf/images_per_s": "4"}], 4)
    15.0
    """
    seconds, last = 0.0, -1
    for row in rows:
        # A run of few steps logs no speed, not even its column.
        if row.get("perf/images_per_s"):
            step = int(row["step"])
            seconds += (step - last) * batch_size / float(row["perf/images_per_s"])
            last = step
    return seconds


def ship(run: Path, family: Path) -> None:
    """Export the last checkpoint of a run into the family, in place of the model that is there, and note its training.

    Raises:
        FileNotFoundError: the run lacks one of its files.
    """
    taken = training_note(run)
    fresh = family / f".{PART}.partial"
    shutil.rmtree(fresh, ignore_errors=True)
    export(run / "last.ckpt", fresh, half=True)
    shutil.rmtree(family / PART, ignore_errors=True)
    fresh.rename(family / PART)
    note(family, PART, taken)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="run directory of fit")
    parser.add_argument("--out", type=Path, required=True, help="family folder that receives the part")
    args = parser.parse_args()
    ship(args.run, args.out)


if __name__ == "__main__":
    main()
