from pathlib import Path

from lit_outpaint.runs.global_view import global_view


def test_a_seed_of_any_size_draws_the_same_picture_again(model: Path, tmp_path: Path) -> None:
    sampling = {"seed": 2**64 + 1, "num_inference_steps": 1, "guidance_scale": 1.0}
    drawn = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        drawn.append(global_view(model, "a lake", tmp_path / name, **sampling))
    assert drawn[0].shape == (64, 64, 3)
    assert (drawn[0] == drawn[1]).all()
