"""Install what training needs and a GPU machine's own Python lacks; its torch is left as it is.

    python3 -m data_prep.scapes.gpu_packages --download .whl     # where a registry can be reached
    python3 -m data_prep.scapes.gpu_packages --wheels .whl       # there: from wheels where the folder holds some

Only the standard library is imported, since nothing else may be there yet.
"""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

NEEDED = {
    "diffusers": "diffusers>=0.36",
    "transformers": "transformers>=5.0",
    "lightning": "lightning>=2.6.4,<3",
    "jsonargparse": "jsonargparse[signatures]>=4.39",
    "jaxtyping": "jaxtyping>=0.3",
    "safetensors": "safetensors>=0.5",
    "torchmetrics": "torchmetrics>=1.6",
    "tensorboard": "tensorboard>=2.18",
    "pydantic": "pydantic>=2.10",
    "zarr": "zarr>=3.0",
    "fsspec": "fsspec>=2024.6",
    "rich": "rich>=13.0",
    "yaml": "pyyaml>=6.0",
    "PIL": "pillow>=11.0",
}
"""Module and requirement of what a training imports, as in pyproject.toml; torch comes with the machine."""

CARRIED = ("diffusers", "jsonargparse", "docstring-parser", "typeshed-client", "importlib-resources", "pydantic",
           "pydantic-core", "annotated-types", "typing-inspection", "zarr", "donfig", "numcodecs", "google-crc32c",
           "tensorboard", "tensorboard-data-server", "werkzeug", "markdown", "grpcio")  # fmt: skip
"""Wheels that are brought along: what images with torch lack, and what that needs."""

PLATFORM = ("--python-version", "3.12", "--implementation", "cp", "--platform", "manylinux_2_28_x86_64",
            "--platform", "manylinux_2_17_x86_64", "--platform", "manylinux2014_x86_64")  # fmt: skip
"""What GPU machines run."""


def missing() -> list[str]:
    """Requirements whose module is not installed."""
    return [requirement for module, requirement in NEEDED.items() if importlib.util.find_spec(module) is None]


def install_command(requirements: list[str], wheels: Path) -> list[str]:
    """How they are installed: from wheels if there are any, else from the registry."""
    source = ["--no-index", "--find-links", str(wheels)] if any(wheels.glob("*.whl")) else []
    # A system's Python may be marked as managed from outside; on a lent machine it is ours.
    return [sys.executable, "-m", "pip", "install", "--quiet", "--break-system-packages", *source, *requirements]


def download_command(wheels: Path) -> list[str]:
    """How wheels for a machine without a network are fetched."""
    only = ["--no-deps", "--only-binary=:all:"]
    return [sys.executable, "-m", "pip", "download", "--quiet", *only, *PLATFORM, "-d", str(wheels), *CARRIED]


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, default=Path(".whl"), help="folder of wheels; may be missing")
    parser.add_argument("--download", type=Path, help="fetch wheels into this folder instead")
    args = parser.parse_args()
    if args.download is not None:
        return subprocess.run(download_command(args.download), check=False).returncode
    requirements = missing()
    print("missing:", ", ".join(requirements) or "nothing")
    return subprocess.run(install_command(requirements, args.wheels), check=False).returncode if requirements else 0


if __name__ == "__main__":
    sys.exit(main())
