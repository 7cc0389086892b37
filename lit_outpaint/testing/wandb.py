"""Reads back what W&B wrote offline, with its own reader."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def read_offline_wandb(run_dir: Path) -> list[dict[str, Any]]:
    """Every start of a run that lies under ``run_dir/wandb``, oldest first.

    Returns:
        Per start: ``id``, ``project``, ``group``, ``name``, ``preempting`` (whether it was marked so), ``exit_code``,
        ``rows`` (what was logged, without W&B's own keys, in order) and ``summary`` (last values).
    """
    files = sorted((run_dir / "wandb").glob("offline-run-*/*.wandb"))
    return [_read(path) for path in files]


def _read(path: Path) -> dict[str, Any]:
    wandb = Path(sys.executable).parent / "wandb"
    command = [str(wandb), "leet", "inspect", "--json", str(path)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    start: dict[str, Any] = {"rows": [], "summary": {}, "preempting": False, "exit_code": None}
    for line in lines:
        entry = json.loads(line)
        values = entry.get(entry.get("type"), {})
        match entry.get("type"):
            case "run":
                start |= {"id": values["run_id"], "project": values["project"], "name": values["display_name"]}
                start["group"] = values.get("run_group")
            case "history":
                start["rows"].append({key: value for key, value in values["item"].items() if key[0] != "_"})
            case "summary":
                start["summary"] |= values.get("update", {})
            case "preempting":
                start["preempting"] = True
            case "exit":
                start["exit_code"] = values.get("exit_code")
    return start
