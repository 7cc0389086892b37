from lit_outpaint.cli.outpaint import build_parser
from lit_outpaint.runs.config import ROLES, settings_that


def test_every_option_of_the_command_has_a_role_in_the_life_of_a_run() -> None:
    assert vars(build_parser().get_defaults()).keys() <= ROLES.keys()
    assert settings_that("adds") == ["steps", "to", "loop", "plan"]
    assert settings_that("replaces") == ["model", "device", "batch_size"]
    assert {name for name, role in ROLES.items() if role.identity and role.on_resume != "refused"} == {"layout"}
    assert {name for name, role in ROLES.items() if not role.identity and role.on_resume == "refused"} == {
        *("config", "image", "out", "price_prompt", "price_completion", "rank", "world_size")
    }
