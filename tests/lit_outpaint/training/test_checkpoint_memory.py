"""What saving and reading a checkpoint takes in memory, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, sys
from pathlib import Path
import torch
from lit_outpaint.training.checkpoint import read_checkpoint
from lit_outpaint.training.sharded_checkpoint import AnyCheckpointIO

def kib(field):
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field + ":"))
    return int(line.split()[1])

path = Path(sys.argv[1])
weights = {str(number): torch.ones(1 << 22) for number in range(16)}
state = {"state_dict": weights, "hyper_parameters": {}, "optimizer_states": [torch.ones(1)]}
AnyCheckpointIO().save_checkpoint({"state_dict": {"one": torch.ones(1)}, "hyper_parameters": {}}, path)
before = kib("VmHWM")
AnyCheckpointIO().save_checkpoint(state, path)
saved = kib("VmHWM") - before
del state, weights
before = kib("RssAnon")
read = read_checkpoint(path, without=("optimizer_states",))
held = kib("RssAnon") - before
same = all(float(tensor.sum()) == 1 << 22 for tensor in read["state_dict"].values())
print(json.dumps({"file": path.stat().st_size // 1024, "saved": saved, "held": held, "same": same, "keys": list(read)}))
"""


@pytest.mark.slow
def test_saving_makes_no_copy_and_reading_maps_the_file(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=True, timeout=600
    )
    found = json.loads(done.stdout)
    assert found["file"] > 250 * 1024
    assert found["saved"] < 0.1 * found["file"]
    assert found["held"] < 0.1 * found["file"]
    assert found["same"]
    assert found["keys"] == ["state_dict", "hyper_parameters"]
    assert [left.name for left in tmp_path.iterdir()] == ["last.ckpt"]
