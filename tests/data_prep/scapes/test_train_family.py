"""The driver of all trainings, with the real parts at toy minutes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from data_prep.scapes import gpu_packages, train_family
from data_prep.scapes.train_family import GOING_ON, PARTS, parse_minutes, part_command, ship

SHIPPED = Path("models/scapes")


def test_the_same_command_serves_threads_and_a_gpu(tmp_path: Path) -> None:
    cpu, gpu = (part_command("base", tmp_path, torch.device(name), {}, 100) for name in ("cpu", "cuda"))
    assert cpu[:3] == [sys.executable, "-m", "data_prep.scapes.train_base"]
    assert "--warm" in cpu
    assert "--compile" not in cpu
    assert {"--warm", "--compile", "--batch_size"} <= set(gpu)
    assert gpu[gpu.index("--device") + 1] == "cuda"
    told = part_command("base", tmp_path, torch.device("cpu"), {"base": 2.5}, 100)
    assert told[told.index("--minutes") + 1] == "2.5"


def test_the_default_parts_fit_into_eight_minutes_of_a_gpu() -> None:
    assert sum(PARTS[name].gpu_minutes for name in GOING_ON) <= 6  # Two are left to render, encode and compile.


def test_only_changed_weights_are_shipped_and_none_above_the_limit(tmp_path: Path) -> None:
    start, family, out = tmp_path / "start", tmp_path / "family", tmp_path / "out"
    for folder in (start, family):
        (folder / "a").mkdir(parents=True)
        save_file({"w": torch.zeros(3)}, folder / "a" / "same.safetensors")
        save_file({"w": torch.full((3,), float(folder == family))}, folder / "changed.safetensors")
    (family / "training.json").write_text("{}")
    assert ship(family, start, out) == [Path("changed.safetensors")]
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == ["changed.safetensors", "training.json"]
    save_file({"w": torch.zeros(5 * 2**20)}, family / "large.safetensors")
    with pytest.raises(ValueError, match=r"at most 16 MiB, large.safetensors has 20.0 MiB"):
        ship(family, start, out)


def test_minutes_name_a_part() -> None:
    assert parse_minutes("decoder=1") == ("decoder", 1.0)
    for word in ("sky=1", "base", "base=long"):
        with pytest.raises(train_family.argparse.ArgumentTypeError, match="minutes"):
            parse_minutes(word)


def test_wheels_replace_the_registry_where_there_are_some(tmp_path: Path) -> None:
    assert "--no-index" not in gpu_packages.install_command(["diffusers"], tmp_path)
    (tmp_path / "diffusers-1-py3-none-any.whl").touch()
    assert "--no-index" in gpu_packages.install_command(["diffusers"], tmp_path)
    assert gpu_packages.missing() == []  # Tests run where everything is installed.


@pytest.mark.slow
def test_killed_at_any_moment_the_same_command_goes_on(tmp_path: Path) -> None:
    work = tmp_path / "work"
    minutes = [f"{name}=0.05" for name in GOING_ON]
    options = ["--work", str(work), "--windows", "64", "--device", "cpu", "--minutes", *minutes]
    command = [sys.executable, "-m", "data_prep.scapes.train_family", *options]
    for moment in ("windows.npy", "decoder/state.pt", "base/state.pt", "outpaint_data/card.json", "outpaint/last.ckpt"):
        process = subprocess.Popen(command, start_new_session=True)
        while not (work / moment).exists():
            assert process.poll() is None, f"ended before {moment}"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert subprocess.run([*command, "--ship", str(tmp_path / "out")], check=False).returncode == 0
    assert set(json.loads((work / "done.json").read_text())) == set(GOING_ON)
    shipped = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.safetensors")}
    name = "diffusion_pytorch_model.safetensors"
    assert shipped == {f"{part}/{name}" for part in ("vae", "unet", "outpaint/unet", "outpaint/context")}
    for part in shipped:
        assert all(torch.isfinite(value).all() for value in load_file(tmp_path / "out" / part).values())
    encoder = {key: value for key, value in load_file(SHIPPED / "vae" / name).items() if key.startswith("encoder.")}
    trained = load_file(tmp_path / "out" / "vae" / name)
    assert all(torch.equal(value, trained[key]) for key, value in encoder.items())
