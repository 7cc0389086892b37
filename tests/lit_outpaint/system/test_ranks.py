import pytest

from lit_outpaint.system.ranks import ALONE, RankConfig, Share, find_share, is_rank_of_srun
from lit_outpaint.testing.models import slurm_step, torchrun

STEMS = [f"train-{number:05d}" for number in range(23)]


def array(task: int, first: int, last: int, count: int) -> dict[str, str]:
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_COUNT")
    return dict(zip(names, map(str, (task, first, last, count)), strict=True))


@pytest.mark.parametrize("launcher", [slurm_step, torchrun])
@pytest.mark.parametrize(("ranks", "per_node"), [(1, 1), (4, 2), (8, 4), (30, 10)])
def test_every_shard_is_done_once_on_any_number_of_nodes(launcher: object, ranks: int, per_node: int) -> None:
    shares = [find_share(RankConfig(), launcher(rank, ranks, per_node)) for rank in range(ranks)]  # type: ignore[operator]
    assert sorted(stem for share in shares for stem in share.of(STEMS)) == STEMS


@pytest.mark.parametrize("first", [0, 1, 5])
def test_a_job_array_of_steps_does_every_shard_once(first: int) -> None:
    environments = [
        array(task, first, first + 2, 3) | slurm_step(rank, 4, 2)
        for task in range(first, first + 3)
        for rank in range(4)
    ]
    shares = [find_share(RankConfig(), environment) for environment in environments]
    assert shares == [Share(rank, 12) for rank in range(12)]
    assert sorted(stem for share in shares for stem in share.of(STEMS)) == STEMS


def test_the_script_of_a_batch_job_is_one_process_whatever_was_reserved() -> None:
    assert find_share(RankConfig(), {"SLURM_JOB_ID": "1", "SLURM_PROCID": "0", "SLURM_NTASKS": "8"}) == ALONE
    batch_step = {"SLURM_STEP_ID": "batch", "SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "0"}
    assert find_share(RankConfig(), batch_step) == ALONE


def test_one_task_of_an_array_submitted_anew_makes_all_that_is_missing() -> None:
    assert find_share(RankConfig(), array(7, 7, 7, 1)) == ALONE


def test_numbers_that_would_leave_shards_out_are_refused() -> None:
    with pytest.raises(ValueError, match="consecutive numbers"):
        find_share(RankConfig(), array(7, 3, 7, 2))
    with pytest.raises(ValueError, match="go together"):
        RankConfig(rank=1)
    with pytest.raises(ValueError, match="got rank 4 of 4"):
        find_share(RankConfig(rank=4, world_size=4), {})


def test_given_numbers_win_over_the_environment() -> None:
    assert find_share(RankConfig(rank=1, world_size=2), torchrun(3, 8, 4)) == Share(1, 2)


@pytest.mark.parametrize(
    "environment",
    [
        {"SLURM_ARRAY_TASK_ID": "3"},
        array(3, 0, 7, 8) | {"SLURM_ARRAY_TASK_MAX": "many"},
        {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "", "SLURM_PROCID": "0"},
    ],
)
def test_half_of_the_variables_of_slurm_are_refused_by_name(environment: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"SLURM_\w+ must be a number"):
        find_share(RankConfig(), environment)


def test_training_takes_its_rank_from_srun_alone() -> None:
    reserved = {"SLURM_JOB_ID": "1", "SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_LOCALID": "0"}
    assert not is_rank_of_srun(reserved)
    step = slurm_step(1, 2, 2) | {"SLURM_NODEID": "0", "SLURM_NTASKS_PER_NODE": "2"}
    assert is_rank_of_srun(step)
    for name in ("SLURM_NODEID", "SLURM_NTASKS_PER_NODE"):
        with pytest.raises(ValueError, match=name.removeprefix("SLURM_").replace("NTASKS_PER_NODE", "ntasks-per-node")):
            is_rank_of_srun({key: value for key, value in step.items() if key != name})
