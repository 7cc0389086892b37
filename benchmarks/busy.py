"""CPU time of commands on a quiet and on a busy machine, and what it costs that waiting threads sleep.

    python -m benchmarks.busy

Each command draws one window of the shipped family in few denoising steps, so that a round of both ends within about
three minutes on two cores; most of its time it loads what it needs, as short runs do (``--steps`` draws for longer). It
runs with nothing beside it, and again with as many processes beside it as there are cores, each of which counts without
end. It is compared with itself, round by round: CPU time beside others over CPU time alone (promise: at most 3), and
alone with threads that sleep over alone with threads that spin (target: at most 1.03). Last comes what spinning costs
beside others: the reason for all of it. Other work on the machine makes the figures alone too large, and what is said
of it smaller; the load that was found is in the report.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.commands import at_least, refusing
from benchmarks.timing import write_report
from lit_outpaint.cli.one_line_parser import OneLineParser
from lit_outpaint.system.threads import THREADS, usable_cores

MODEL, PICTURE = "models/scapes/outpaint", "picture.png"
COMMANDS = {
    "outpaint": f"lit_outpaint outpaint --model {MODEL} --image {PICTURE} --caption coast --steps right:1 --out OUT",
    "generate": "lit_outpaint generate --model models/scapes --prompt coast --num_images 1 --out OUT",
}
STEPS = 8
"""Denoising steps of each."""
DEFAULT = {"GOMP_SPINCOUNT": "300000"}
"""What GNU's OpenMP does by itself while threads are not more than cores: it spins for about a millisecond."""


@refusing
def main() -> None:
    """Measure every command and write the report."""
    parser = OneLineParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=at_least(1), default=1, help="times that each command runs in each way")
    parser.add_argument("--commands", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    parser.add_argument("--threads", type=at_least(1), default=usable_cores(), help="threads of a command")
    parser.add_argument("--steps", type=at_least(1), default=STEPS, help="denoising steps")
    options = parser.parse_args()
    rows = {
        name: {
            figure: round(value, 3)
            for figure, value in measured(COMMANDS[name], options.rounds, options.threads, options.steps).items()
        }
        for name in options.commands
    }
    write_report("busy", vars(options), rows, whole=set(options.commands) == set(COMMANDS))


def measured(command: str, rounds: int, threads: int, steps: int = STEPS, defaults: bool = True) -> dict[str, float]:
    """Seconds of CPU time of a command alone and beside others, and the medians of the ratios of each round."""
    command += f" --num_inference_steps {steps}"
    alone, busy, spins_alone, spins_busy = [], [], [], []
    own = {THREADS: str(threads)}
    for _ in range(rounds):
        alone.append(cpu_seconds(command, own))
        if defaults:
            spins_alone.append(cpu_seconds(command, own | DEFAULT))
        with burners(usable_cores()):
            busy.append(cpu_seconds(command, own))
            if defaults:
                spins_busy.append(cpu_seconds(command, own | DEFAULT))
    result = {"alone_s": statistics.median(alone), "busy_over_alone": _ratio(busy, alone)}
    if defaults:
        result |= {
            "sleep_over_spin": _ratio(alone, spins_alone),
            "spin_busy_over_alone": _ratio(spins_busy, spins_alone),
        }
    return result


def cpu_seconds(command: str, environment: Mapping[str, str]) -> float:
    """User and system time of a command with some of its environment set.

    Raises:
        RuntimeError: the command fails.
    """
    with tempfile.TemporaryDirectory() as place:
        picture = Path(place) / PICTURE
        words = command.replace("OUT", f"{place}/run").replace(PICTURE, str(picture)).split()
        _draw(picture)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", *words],
            env={**_unset(os.environ), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)} fails: {done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@contextmanager
def burners(count: int) -> Iterator[None]:
    """Processes beside this one that count without end."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def _ratio(above: list[float], below: list[float]) -> float:
    return statistics.median(over / under for over, under in zip(above, below, strict=True))


def _unset(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment as a user has it who sets nothing of threads."""
    names = (THREADS, "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    return {name: value for name, value in environment.items() if name not in names}


def _draw(path: Path) -> None:
    """Any picture that is one window large."""
    from PIL import Image

    Image.linear_gradient("L").resize((128, 128)).convert("RGB").save(path)


if __name__ == "__main__":
    main()
