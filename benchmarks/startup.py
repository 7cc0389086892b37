"""CPU time of what a command answers at once: its help, a flag it does not have, a file that is not there.

    python -m benchmarks.startup

Every answer is given by a process of its own, three times; the least of the three counts, because work beside it can
only add. The time of ``import torch`` stands in the last line: on a quiet machine it is about two seconds, and a larger
figure says by how much all others are too large.
"""

import resource
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.commands import at_least, refusing
from benchmarks.timing import write_report
from lit_outpaint.cli.one_line_parser import OneLineParser

HEAVY = ("torch", "diffusers", "transformers", "lightning", "torchmetrics", "open_clip", "scipy", "skimage", "zarr")
"""What no command may import for these answers."""

VERBS = {
    "lit_outpaint": (
        *("fit", "validate", "test", "predict"),
        *("outpaint", "generate", "plan", "export", "consolidate"),
    ),
    "eval": ("run", "family", "score", "compbench", "layouts", "compare", "report", "study", "study-report"),
    "data_prep": (
        *("all", "scapes", "coco", "caption", "encode", "pack", "verify", "texts"),
        *("compbench", "rectangles", "dense_prompts"),
    ),
    "slurm": ("submit", "sweep", "status", "collect", "dashboard", "cell"),
}

HELPS = [[package, verb, "--help"] for package, verbs in VERBS.items() for verb in verbs]
UNKNOWN_FLAGS = [[package, verb, "--nonsense", "1"] for package, verbs in VERBS.items() for verb in verbs]
REFUSALS = [
    line.split()
    for line in """
lit_outpaint fit --trainer.max_stepz 1
lit_outpaint fit --config absent.yaml
lit_outpaint fit --data.shards absent
lit_outpaint validate --ckpt_path absent.ckpt
lit_outpaint outpaint --image absent.png --caption sea --steps right:1 --out made
lit_outpaint outpaint --resume absent
lit_outpaint outpaint --image docs/first_window.png --caption sea --out made --steps right:1 --guidance_scale 0
lit_outpaint outpaint --image docs/first_window.png --caption sea --out made --steps right:1 --model models/scapes
lit_outpaint outpaint --image docs/first_window.png --caption sea --out made --steps right:1 --layout absent.json
lit_outpaint outpaint --image docs/first_window.png --caption sea --out made --to 130x128
lit_outpaint generate --prompts absent.txt --out made
lit_outpaint plan --plan_file absent.json --out made
lit_outpaint export absent.ckpt --out made
lit_outpaint consolidate absent.ckpt --out made
eval run --checkpoint absent --data absent --out made
eval family --data absent --out made
eval score --images absent --out made
eval compbench --prompts absent --images absent --out made
eval compare absent missing --out made
eval report absent --out made
data_prep all --source coco --root absent --out made
data_prep caption --out absent
data_prep encode --out absent
data_prep pack --out absent
data_prep verify absent
data_prep texts absent
slurm submit -c absent.yaml
slurm sweep absent.yaml
slurm status absent
slurm collect absent
slurm dashboard absent
slurm cell absent train
""".strip().splitlines()
]
"""Commands that name what is not there; each answers with one line and exit code 2."""


@refusing
def main() -> None:
    """Time every answer and write the report."""
    parser = OneLineParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--rounds", type=at_least(1), default=3, help="processes for each answer, of which the fastest counts"
    )
    parser.add_argument("--only", default="", help="only commands that contain this text")
    options = parser.parse_args()
    commands = [["-m", *words] for words in (*HELPS, *UNKNOWN_FLAGS, *REFUSALS)]
    commands = [words for words in commands if options.only in " ".join(words)] + [["-c", "import torch"]]
    rows = {}
    for words in commands:
        # Help and the import are to succeed, everything else is to be refused.
        code = 0 if words[-1] in ("--help", "import torch") else 2
        least = min(cpu_seconds(words, code) for _ in range(options.rounds))
        rows[" ".join(words)] = {"cpu_s": round(least, 2)}
    write_report("startup", vars(options), rows, whole=not options.only)


def cpu_seconds(words: Sequence[str], code: int) -> float:
    """User and system time of a Python process with these arguments.

    Raises:
        SystemExit: it ends with another exit code than ``code``, so that its time is not that of the answer.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != code:
        last = "".join(done.stderr.splitlines()[-1:])
        raise SystemExit(f"error: python {' '.join(words)} ended with exit code {done.returncode}, not {code}: {last}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
