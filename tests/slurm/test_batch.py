"""Job scripts, and what the site adds to them."""

import subprocess
from pathlib import Path

import pytest

from slurm.batch import Job, Resources, ranges, render
from slurm.site import Site, read_site


def job(**options: object) -> Job:
    return Job(name="toy", command=["python", "-m", "x", "a b"], log=Path("out/%j.log"), **options)  # type: ignore[arg-type]


def test_a_script_is_resources_a_signal_and_one_srun() -> None:
    resources = Resources(nodes=2, gpus=4, cpus=8, mem="64G", time="08:00:00")
    lines = render(job(resources=resources, preemptible=True), Site()).splitlines()
    options = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")]
    assert {"--nodes=2", "--ntasks-per-node=4", "--gpus-per-node=4", "--cpus-per-task=8", "--mem=64G"} <= set(options)
    assert {"--time=08:00:00", "--signal=SIGUSR1@90", "--requeue", "--open-mode=append"} <= set(options)
    assert lines[-2:] == [
        "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK",
        "exec srun --kill-on-bad-exit=1 python -m x 'a b'",
    ]


def test_names_may_hold_blanks() -> None:
    options = render(Job(name="my run", command=["true"], log=Path("my runs/%j.log")), Site()).splitlines()
    assert {"#SBATCH --job-name='my run'", "#SBATCH --output='my runs/%j.log'"} <= set(options)


def test_what_does_not_save_itself_gets_no_signal() -> None:
    assert "--signal" not in render(job(), Site())


def test_an_array_waits_for_the_same_task_of_another() -> None:
    script = render(job(array=[0, 2, 3], throttle=2, aftercorr="17"), Site())
    assert "--array=0,2-3%2" in script
    assert "--dependency=aftercorr:17" in script


def test_scripts_are_valid_shell(tmp_path: Path) -> None:
    site = Site(setup="module load cuda\nexport A='b c'", extra=("--exclusive",), python="/p y/python")
    path = tmp_path / "job.sh"
    path.write_text(render(job(resources=Resources(cpus=2)), site))
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0


@pytest.mark.parametrize("numbers", [[0], [3, 1, 2], [0, 2, 4], [5, 5, 6], list(range(100))])
def test_ranges_name_every_number_once(numbers: list[int]) -> None:
    named = []
    for part in ranges(numbers).split(","):
        first, _, last = part.partition("-")
        named += range(int(first), int(last or first) + 1)
    assert named == sorted(set(numbers))


def test_the_trainer_is_told_what_the_job_asks_for() -> None:
    assert Resources(nodes=2, gpus=4).trainer_arguments() == ["--trainer.devices=4", "--trainer.num_nodes=2"]
    assert Resources().trainer_arguments() == ["--trainer.devices=1", "--trainer.num_nodes=1"]


@pytest.mark.parametrize("options", [{"nodes": 0}, {"gpus": -1}, {"time": "soon"}, {"mem": "lots"}, {"signal_s": 0}])
def test_impossible_resources_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Resources(**options)  # type: ignore[arg-type]


def test_the_site_comes_from_the_environment() -> None:
    site = read_site(
        {
            "LIT_OUTPAINT_SLURM_PARTITION": "gpu",
            "LIT_OUTPAINT_SLURM_ACCOUNT": "",
            "LIT_OUTPAINT_SLURM_EXTRA": "--exclusive\n--hint=nomultithread",
            "LIT_OUTPAINT_SLURM_PYTHON": "/env/bin/python",
            "HOME": "/root",
        }
    )
    assert site.directives() == ["--partition=gpu", "--exclusive", "--hint=nomultithread"]
    assert site.python == "/env/bin/python"


@pytest.mark.parametrize(
    "variables",
    [
        {"LIT_OUTPAINT_SLURM_PARTITON": "gpu"},
        {"LIT_OUTPAINT_SLURM_EXTRA": "exclusive"},
        {"LIT_OUTPAINT_SLURM_QOS": "a\n#SBATCH --x"},
    ],
)
def test_a_variable_without_meaning_is_refused(variables: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="LIT_OUTPAINT_SLURM_"):
        read_site(variables)
