"""Tables of scores in Markdown files, between marks that say whose they are, rewritten from new scores.

    python -m data_prep.scapes.score_tables --models models/scapes --scores runs/cards docs/figures.md

A marked table begins behind ``<!-- scores NAME of weights HASH -->`` and ends before ``<!-- /scores -->``. NAME is a
folder of ``--scores`` with the ``metrics.md`` that ``eval`` left; a row keeps its place and takes its values from the
row of the same figure there. HASH is that of the weights that were scored, so that a test can tell a table that speaks
of other weights than those that ship.

A table of several runs is put together by hand: ``<!-- copied NAME of weights HASH -->`` to ``<!-- /copied -->`` holds
it to its weights in the same way, and it is left as it is. Whoever copies new figures gets the hash of NAME from

    python -m data_prep.scapes.score_tables --models models/scapes --hash NAME
"""

import argparse
import hashlib
import re
from pathlib import Path

HASH_LENGTH = 12

JUDGES = ("probe", "eval_clip")
OUTPAINTING = ("vae", "text_encoder", "image_encoder", "outpaint", *JUDGES)
SCORED: dict[str, tuple[str, ...]] = {
    "family": ("vae", "text_encoder", "unet", *JUDGES),
    "outpaint": OUTPAINTING,
    **{f"outpaint_{how}": OUTPAINTING for how in ("left", "up", "down", "joint")},
    "baselines": ("vae", "text_encoder", "image_encoder", "unet", "outpaint", *JUDGES),
    "decoder": ("vae", *JUDGES),
    "text_to_image": ("vae", "text_encoder", "unet", "probe"),
    "llm4gen": ("vae", "text_encoder", "unet", "language", "llm4gen", "probe"),
    "card": ("vae", "text_encoder", "image_encoder", "unet", "outpaint", "lm", *JUDGES),
}
"""Parts of the family whose weights decide the scores of each name."""

_BLOCK = re.compile(r"<!-- (scores|copied) (\S+) of weights ([0-9a-f]+) -->\n(.*?)<!-- /\1 -->", re.DOTALL)


def weights_hash(models: Path, name: str) -> str:
    """The first digits of the hash of the weights of a family that decide the scores of a name, with their places."""
    digest = hashlib.sha256()
    for path in sorted(path for part in SCORED[name] for path in (models / part).rglob("*.safetensors")):
        digest.update(path.relative_to(models).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:HASH_LENGTH]


def marked(name: str, weights: str, text: str) -> str:
    """Text between marks."""
    return f"<!-- scores {name} of weights {weights} -->\n{text.strip()}\n<!-- /scores -->"


def blocks(text: str) -> list[tuple[str, str]]:
    """Name and hash of every marked table of a document."""
    return [(match[2], match[3]) for match in _BLOCK.finditer(text)]


def rewritten(text: str, scores: Path, models: Path) -> str:
    """A document with the rows of its marked tables taken from new scores.

    Args:
        text: the document.
        scores: holds ``NAME/metrics.md`` for every name.
        models: the family that was scored.

    Raises:
        FileNotFoundError: there are no scores of a name.
        ValueError: the scores lack a figure of a table.
    """

    def rewritten(match: re.Match[str]) -> str:
        kind, name, _, table = match.groups()
        if kind == "copied":
            return match[0]
        rows = figure_rows((scores / name / "metrics.md").read_text())
        lines = table.strip().splitlines()
        missing = [_figure(line) for line in lines[2:] if _figure(line) not in rows]
        if missing:
            raise ValueError(f"{scores / name / 'metrics.md'} must have all figures of its table, lacks {missing}")
        made = [*lines[:2], *(rows[_figure(line)] for line in lines[2:])]
        return marked(name, weights_hash(models, name), "\n".join(made))

    return _BLOCK.sub(rewritten, text)


def figure_rows(metrics: str) -> dict[str, str]:
    """Rows of the table of figures in a ``metrics.md``, by figure."""
    table = metrics[metrics.index("| figure |") :].split("\n\n")[0]
    return {_figure(line): line for line in table.splitlines()[2:]}


def _figure(line: str) -> str:
    return line.split(" | ")[0].removeprefix("| ")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="family that was scored")
    parser.add_argument("--scores", type=Path, help="folder with a folder of scores for every name")
    parser.add_argument("--hash", choices=list(SCORED), help="print the hash of the weights behind a name, and no more")
    parser.add_argument("documents", type=Path, nargs="*", help="Markdown files to rewrite")
    args = parser.parse_args()
    if args.hash:
        print(weights_hash(args.models, args.hash))
        return
    if args.scores is None or not args.documents:
        parser.error("--scores and the documents are needed, or --hash")
    # All are made before the first is written.
    made = {path: rewritten(path.read_text(), args.scores, args.models) for path in args.documents}
    for path, text in made.items():
        path.write_text(text)
        print(f"{path}: {len(blocks(text))} tables")


if __name__ == "__main__":
    main()
