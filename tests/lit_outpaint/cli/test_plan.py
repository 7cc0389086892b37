from pathlib import Path

import pytest
from PIL import Image

from lit_outpaint.__main__ import main
from lit_outpaint.planning.files import read_plan_file
from lit_outpaint.planning.planner import ONE_REGION
from lit_outpaint.testing.servers import FaultServer

PROMPT = "a balloon above a red barn to the left of a blue tent"
RULES = "lit_outpaint.planning.rules.RulePlanner"


def test_a_prompt_is_planned_printed_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--prompt", PROMPT, "--out", str(tmp_path / "a")]) == 0
    plan = read_plan_file(tmp_path / "a/plan.json")
    assert [region.prompt for region in plan.regions] == ["a balloon", "a red barn", "a blue tent"]
    assert "blue-tent" in capsys.readouterr().out
    with Image.open(tmp_path / "a/plan.png") as picture:
        assert picture.size[0] >= 1024
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["plan.json", "plan.png"]


def test_a_grid_is_given_with_a_prompt_for_each_cell(tmp_path: Path) -> None:
    prompts = ["--regional_prompt", "a sky: with, a bird", "--regional_prompt", "[a barn] or 3"]
    assert main(["plan", "--prompt", "a scene", "--regions", "1;1,1", *prompts, "--out", str(tmp_path / "a")]) == 0
    plan = read_plan_file(tmp_path / "a/plan.json")
    assert [region.prompt for region in plan.regions] == ["a sky: with, a bird", "[a barn] or 3"]


def test_a_planner_plans_around_a_plan_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text('{"prompt": "a sun, a barn and a tent", "regions": [{"prompt": "a sun", "box": [0, 0, 1, 0.5]}]}')
    arguments = ["--plan_file", str(file), "--planner", RULES, "--planner.with_place", "false"]
    assert main(["plan", *arguments, "--out", str(tmp_path / "a")]) == 0
    plan = read_plan_file(tmp_path / "a/plan.json")
    assert [region.prompt for region in plan.regions] == ["a sun", "a barn", "a tent"]
    assert main(["plan", "--plan_file", str(tmp_path / "a/plan.json"), "--out", str(tmp_path / "b")]) == 0
    assert read_plan_file(tmp_path / "b/plan.json") == plan


def test_a_language_model_plans_and_its_cost_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    planner = [
        "--planner",
        "lit_outpaint.planning.planner.LanguageModelPlanner",
        "--planner.chat",
        "lit_outpaint.chat.cache.CachedChat",
        "--planner.chat.path",
        str(tmp_path / "replies.sqlite"),
        "--planner.chat.inner",
        "lit_outpaint.chat.openai_chat.OpenAIChat",
    ]
    with FaultServer(["good", "half_json"]) as server:
        planner += ["--planner.chat.inner.model", "m", "--planner.chat.inner.base_url", server.url]
        assert main(["plan", "--prompt", "a barn and a tent", *planner, "--out", str(tmp_path / "a")]) == 0
        assert "plans: 1 turns" in (first := capsys.readouterr().out)
        assert main(["plan", "--prompt", "a barn and a tent", *planner, "--out", str(tmp_path / "b")]) == 0
        assert "1 replies from the cache" in capsys.readouterr().out
        assert len(server.requests) == 1
    assert "planned by openai:m" in first
    with FaultServer(["wrong_schema", "wrong_schema"]) as server:
        planner = ["--planner", "lit_outpaint.planning.planner.LanguageModelPlanner"]
        planner += ["--planner.chat", "lit_outpaint.chat.openai_chat.OpenAIChat"]
        planner += ["--planner.chat.model", "m", "--planner.chat.base_url", server.url]
        assert main(["plan", "--prompt", "a barn and a tent", *planner, "--out", str(tmp_path / "c")]) == 0
    assert f"planned by {ONE_REGION} instead of openai:m: no_plan" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--prompt", "a barn"], "--out"),
        (["--out", "{out}"], "--prompt"),
        (["--prompt", "...", "--out", "{out}"], "--prompt"),
        (["--prompt", "a", "--regions", "1;1,1", "--regional_prompt", "b", "--out", "{out}"], "2 cells"),
        (["--prompt", "a", "--regions", "1;x", "--regional_prompt", "b", "--out", "{out}"], "'x'"),
        (["--prompt", "a", "--regions", "1,1", "--out", "{out}"], "--regional_prompt"),
        (["--prompt", "a", "--plan_file", "absent.json", "--out", "{out}"], "absent.json"),
        (["--prompt", "a", "--planner", "no.such.Planner", "--out", "{out}"], "planner"),
        (["--prompt", "a", "--planner", "lit_outpaint.captions.rules.RuleCaptioner", "--out", "{out}"], "Planner"),
        (["--prompt", "a", "--planner", RULES, "--planner.max_split", "0", "--out", "{out}"], "max_split"),
        (["--prompt", "a", "--no_such_option", "1", "--out", "{out}"], "no_such_option"),
        (["--prompt", "a", "--plan_file", "{list}", "--out", "{out}"], "must be a JSON object with prompt and regions"),
        (["--prompt", "a", "--out", "{list}/run"], "cannot be written"),
    ],
)
def test_what_is_at_fault_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    (tmp_path / "list.json").write_text("[1, 2]")
    places = {"out": tmp_path / "a", "list": tmp_path / "list.json"}
    given = [argument.format(**places) for argument in arguments]
    assert main(["plan", *given]) == 2
    error = capsys.readouterr().err
    assert named in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "a").exists()


def test_a_plan_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plan.json").write_text("mine")
    assert main(["plan", "--prompt", "a barn", "--out", str(tmp_path)]) == 2
    assert "plan.json" in capsys.readouterr().err
    assert (tmp_path / "plan.json").read_text() == "mine"


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("--prompt", "--plan_file", "--regions", "--regional_prompt", "--planner"))
