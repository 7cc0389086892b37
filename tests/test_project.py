"""The project as a whole: imports, configurations, documents and files agree with each other."""

import contextlib
import importlib
import io
import json
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonargparse import ArgumentParser

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("lit_outpaint", "data_prep", "eval", "slurm")
EXPERIMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "experiments").rglob("*.yaml")
    if path.parent.name != "sweeps"  # tests/slurm parses those
)
MAX_LINES = 400


def code_blocks(document: str, language: str = "") -> list[str]:
    """The fenced blocks of one language in a document of the repository."""
    return re.findall(rf"^[ ]*```{language}\n(.*?)^[ ]*```$", (ROOT / document).read_text(), flags=re.M | re.S)


def tracked_files() -> list[Path]:
    """Every file that is, or would be, under version control."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("needs git and a checkout")
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def readme_commands() -> list[str]:
    """The ``python -m`` lines of the README."""
    lines = "\n".join(code_blocks("README.md")).splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.startswith("python -m ")]


@cache
def help_text(module: str, verbs: tuple[str, ...]) -> str:
    """What ``python -m module verbs --help`` prints."""
    main: Callable[[list[str]], int | None] = importlib.import_module(f"{module}.__main__").main
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main([*verbs, "--help"])
    return out.getvalue()


def unknown_flags(command: str) -> list[str]:
    """The flags of a ``python -m`` line that the help of its verb does not name."""
    _, _, module, *words = shlex.split(command)
    verb, flags = words[0], [word.split("=")[0] for word in words if word.startswith("-")]
    source = words.index("--source") if "--source" in words else len(words)  # Each source has flags of its own.
    text = help_text(module, (verb, *words[source : source + 2])).replace("_", "-")
    assert "usage" in text.lower(), f"python -m {module} {verb} --help prints no help"
    names = {flag: re.escape(flag.replace("_", "-")) for flag in flags}
    unnamed = [flag for flag, name in names.items() if not re.search(rf"(?<![\w-]){name}(?![\w-])", text)]
    return [flag for flag in unnamed if not is_setting(flag, words)]


def is_setting(flag: str, words: Sequence[str]) -> bool:
    """Whether ``--part.setting`` is a setting of the class that ``--part CLASS`` names; help lists classes alone."""
    part, _, setting = flag.rpartition(".")
    if part not in words or not setting:
        return False
    module, _, name = words[words.index(part) + 1].rpartition(".")
    settings = ArgumentParser().add_class_arguments(getattr(importlib.import_module(module), name))
    return setting in settings


# --- code


def test_imports_go_in_the_agreed_direction() -> None:
    # In a process of its own: it switches off the loggers of the one it runs in.
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    linted = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_every_module_imports() -> None:
    failures = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            try:
                importlib.import_module(name)
            except Exception as error:  # every cause is reported, not only the first
                failures[name] = repr(error)
    assert not failures


@pytest.mark.parametrize("module", ["lit_outpaint", "lit_outpaint.data.schema", "lit_outpaint.captions.rules"])
def test_preparation_on_plain_nodes_needs_no_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_no_module_is_longer_than_the_limit() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in tracked_files() if path.suffix == ".py"}
    assert not {path.relative_to(ROOT).as_posix(): n for path, n in lengths.items() if n > MAX_LINES}


def test_sources_are_ascii() -> None:
    sources = [path for path in tracked_files() if path.suffix in {".py", ".yaml", ".toml", ".md"}]
    assert not [path.relative_to(ROOT).as_posix() for path in sources if not path.read_bytes().isascii()]


# --- configurations and commands


@pytest.mark.parametrize("config", [config for config in EXPERIMENTS if "/debug/" in config])
def test_configuration_for_debugging_parses_against_the_command_line(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    main = importlib.import_module("lit_outpaint.__main__").main
    monkeypatch.chdir(ROOT)
    with contextlib.suppress(SystemExit):
        main(["fit", "-c", config, "--print_config"])
    output = capsys.readouterr()
    assert "model:" in output.out, output.err


@pytest.mark.parametrize("config", [config for config in EXPERIMENTS if "/debug/" not in config])
def test_experiment_survives_a_fast_dev_run(
    config: str, toy_family: Path, toy_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = importlib.import_module("lit_outpaint.__main__").main
    monkeypatch.chdir(ROOT)
    base = [f"--model.base.pretrained={toy_family}", "--model.base.vision=null", "--model.base.unet=null"]
    base.append("--model.base.outpaint=null")
    places = [*base, f"--data.shards={toy_shards}"]
    if yaml.safe_load((ROOT / config).read_text()).get("model", {}).get("language") is not None:
        # Neither its weights nor features of it are at hand.
        language = {
            "class_path": "lit_outpaint.models.language.CausalLanguage",
            "init_args": {"path": "models/scapes/lm", "length": 16},
        }
        places += [f"--model.language={json.dumps(language)}", "--model.language_online=true"]
    assert main(["fit", "-c", config, "-c", "experiments/debug/tiny.yaml", *places, f"--runs_dir={tmp_path}"]) == 0
    assert not list(tmp_path.glob("*/last.ckpt"))


@pytest.mark.parametrize("command", readme_commands())
def test_command_of_the_readme_exists(command: str) -> None:
    assert not unknown_flags(command)


def test_the_readme_prepares_every_view_that_its_training_reads() -> None:
    commands = [command.split() for command in readme_commands()]
    prepare = next(words for words in commands if "data_prep" in words and "scapes" in words)
    stored = prepare[prepare.index("--directions") + 1].split(",")
    assert any("fit" in words and "experiments/scapes.yaml" in words for words in commands)
    read = yaml.safe_load((ROOT / "experiments" / "scapes.yaml").read_text())["data"]["directions"]
    assert set(read) <= set(stored)


def test_commands_of_the_quickstart_exist() -> None:
    recipe = subprocess.run(
        ["make", "-n", "-o", "setup", "quickstart"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = recipe.stdout.replace("\\\n", " ").splitlines()
    commands = [line[line.index("-m ") :] for line in lines if " -m " in line]
    assert [shlex.split(command)[1] for command in commands] == ["data_prep", "lit_outpaint", "eval"]
    assert not [flag for command in commands for flag in unknown_flags(f"python {command}")]
    prepare = shlex.split(commands[0])
    stored = prepare[prepare.index("--directions") + 1].split(",")
    read = yaml.safe_load((ROOT / "experiments" / "quickstart.yaml").read_text())["data"]["directions"]
    assert set(read) <= set(stored)


def test_python_example_of_the_readme_widens_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("models", "docs"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "readme"}
    exec(code_blocks("README.md", "python")[0], namespace)
    first, grown, stride_px = namespace["first"], namespace["canvas"].box, namespace["outpainter"].stride_px
    assert (grown.width, grown.height) == (first.shape[1] + 3 * stride_px, first.shape[0])
    assert (tmp_path / "runs/from_python/panorama.png").stat().st_size > 0


def test_make_targets_of_the_readme_exist() -> None:
    named = set(re.findall(r"^make ([a-z-]+)", "\n".join(code_blocks("README.md")), flags=re.M))
    defined = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    assert {"setup", "quickstart", "test"} <= named <= defined


def test_documents_link_to_files_that_exist() -> None:
    missing = []
    for document in [path for path in tracked_files() if path.suffix == ".md"]:
        prose = re.sub(r"```.*?```", "", document.read_text(), flags=re.S)
        for target in re.findall(r"\]\(([^)#\s]+)", prose):
            if "://" not in target and not (document.parent / target).exists():
                missing.append(f"{document.relative_to(ROOT).as_posix()}: {target}")
    assert not missing


def test_rows_of_tables_have_a_cell_for_each_column() -> None:
    for document in [path for path in tracked_files() if path.suffix == ".md"]:
        columns = 0
        for number, line in enumerate(document.read_text().splitlines(), 1):
            bars = re.sub(r"`[^`]*`|\\\|", "", line).count("|") if line.startswith("|") else 0
            assert not (columns and bars) or bars == columns, f"{document.name}:{number}: {line[:60]}"
            columns = bars


def test_captioner_of_the_recipe_is_a_captioner() -> None:
    from lit_outpaint.protocols import Captioner

    namespace: dict[str, Any] = {"__name__": "recipe"}
    block = code_blocks("CONTRIBUTING.md", "python")[0]
    exec("\n".join(line.removeprefix("   ") for line in block.splitlines()), namespace)
    captioner = namespace["EchoCaptioner"]()
    assert isinstance(captioner, Captioner)
    assert captioner.summarise(["a lake", "a hill"]).text == "a lake"


def test_metric_of_the_recipe_is_a_metric() -> None:
    import torch

    from eval.metrics.base import RatioMetric
    from lit_outpaint.protocols import ImageMetric

    namespace: dict[str, Any] = {"__name__": "recipe"}
    (block,) = (block for block in code_blocks("CONTRIBUTING.md", "python") if "class Contrast" in block)
    exec(textwrap.dedent(block), namespace)
    metric = namespace["Contrast"]()
    assert isinstance(metric, ImageMetric)
    assert isinstance(metric, RatioMetric)
    checkered = torch.tensor([-1.0, 1.0]).repeat(3 * 8).view(1, 3, 4, 4)
    metric.update(checkered.repeat(2, 1, 1, 1), torch.zeros(0, 3, 4, 4), ["", ""], [])
    assert metric.compute() == {"contrast.n2": pytest.approx(1.0, abs=0.02)}


# --- files


def test_lock_pins_every_package_by_hash_and_names_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    entries = re.split(r"\n(?=[a-zA-Z0-9])", text[re.search(r"^[a-zA-Z0-9]", text, flags=re.M).start() :])
    assert len(entries) > 100
    assert not [entry for entry in entries if not re.match(r"[\w.-]+==\S+.*\\\n +--hash=sha256:", entry)]


def test_lock_holds_every_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    # What bits brings costs every start seconds, so that no environment has it unasked.
    extras = (packages for extra, packages in project["optional-dependencies"].items() if extra != "bits")
    declared = [*project["dependencies"], *(package for packages in extras for package in packages)]
    names = {re.match(r"[\w.-]+", line).group().lower().replace("_", "-") for line in declared} - {project["name"]}
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), flags=re.M))
    assert names <= locked


def test_no_file_holds_a_path_of_one_machine() -> None:
    pattern = re.compile(rb"(?<![\w.$~)}\]-])/(?:root|home|Users|work)/\w|" + re.escape(str(ROOT)).encode())
    texts = {path: path.read_bytes() for path in tracked_files() if path.stat().st_size < 2_000_000}
    assert not [path.relative_to(ROOT).as_posix() for path, text in texts.items() if pattern.search(text)]
