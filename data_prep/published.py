"""Files of a set in its output directory: which are ours, so that nobody else's are replaced or deleted."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from data_prep.atomic import write_atomic
from data_prep.work import Work
from lit_outpaint.data.schema import CARD_NAME, EMPTY_NAME, EVALSET_DIR, INDEX_NAME, Card, ShardError
from lit_outpaint.data.shard_set import load_card

_PUBLISHING: Final = "publishing.json"
"""In the work directory: names of the set that is being replaced and of the one that replaces it."""
_OURS: Final = ("train-[0-9]*.tar", "val-[0-9]*.tar", INDEX_NAME, EMPTY_NAME, f"{EVALSET_DIR}/**/*")


def check_only_ours(work: Work) -> None:
    """Refuse an output directory with files that are called like those of a set and belong to none that is there.

    Raises:
        ValueError: there is one; it is named.
    """
    known = _known(work)
    for path in _called_like_ours(work.out):
        if known is not None and str(path.relative_to(work.out)) not in known:
            raise ValueError(f"{path} belongs to no shard set that is here; move it away, or choose another --out")


def replace_set(work: Work, packed: Path, card: Card) -> None:
    """Move a set into place; from the first line until the card is there it counts as unfinished.

    Args:
        work: of the output directory.
        packed: the files of the set.
        card: its card, which is written last.
    """
    out, names = work.out, _names(card)
    known = _known(work)
    stale = [str(path.relative_to(out)) for path in _called_like_ours(out)] if known is None else sorted(known)
    write_atomic(work.root / _PUBLISHING, json.dumps(sorted({*stale, *names})).encode())
    (out / CARD_NAME).unlink(missing_ok=True)
    for name in stale:
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / EVALSET_DIR, ignore_errors=True)
    for path in sorted(packed.iterdir()):
        path.replace(out / path.name)
    # Not written in place: a kill would leave half a card among the shards.
    (packed / CARD_NAME).write_text(card.model_dump_json(indent=1) + "\n")
    (packed / CARD_NAME).replace(out / CARD_NAME)
    (work.root / _PUBLISHING).unlink()


def _known(work: Work) -> set[str] | None:
    """Names that belong to the set that is there, or that was being put there; None where its card cannot be read."""
    publishing = work.root / _PUBLISHING
    known = set(json.loads(publishing.read_bytes())) if publishing.is_file() else set[str]()
    if not (work.out / CARD_NAME).exists():
        return known
    try:
        return known | _names(load_card(work.out))
    except ShardError:
        return None


def _names(card: Card) -> set[str]:
    return {file.name for file in card.files} | {shard.name for each in card.shards.values() for shard in each}


def _called_like_ours(out: Path) -> Iterable[Path]:
    return (path for pattern in _OURS for path in sorted(out.glob(pattern)) if path.is_file())
