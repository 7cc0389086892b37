"""One run per picture of a directory, shared over the processes of torchrun or SLURM.

Every picture becomes an ordinary run directory of its own, named after the picture. A picture that cannot be widened
is named at the end and does not stop the others; the same command given again skips what is finished and continues with
the rest.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from jsonargparse import Namespace
from PIL import Image

from lit_outpaint.canvas.decoding import picture_suffixes
from lit_outpaint.canvas.image_io import load_image
from lit_outpaint.captions.of_pictures import read_picture_captions
from lit_outpaint.system.one_line import one_line
from lit_outpaint.protocols import Captioner, CaptionError
from lit_outpaint.system.ranks import Share
from lit_outpaint.runs.directory import INPUT_ERRORS, check_asked, check_writable
from lit_outpaint.runs.record import RUN_NAME, OutpaintRecord

NUM_IMAGINED: Final = 4
"""Captions of what may lie around a picture that has none of its own; see `scene_around`."""


def outpaint_many(
    settings: Namespace, share: Share, captioner: Callable[[], Captioner], draw: Callable[[Namespace], bool]
) -> int:
    """Draw this process's share of the pictures.

    Args:
        settings: of the command; ``image`` is the directory, ``out`` that of the runs.
        share: which of how many processes this is.
        captioner: gives the one that describes pictures without a caption.
        draw: draws the run that the settings of one picture describe; says whether there was anything to do.

    Returns:
        0, or 2 when a picture could not be widened.

    Raises:
        ValueError: the directory holds no picture, or the captions do not fit it.
    """
    pictures, captions, root = _check(settings)
    own = share.of(sorted(pictures))
    failed: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for number, name in enumerate(own, 1):
        picture, directory = pictures[name], root / name
        print(f"picture {number} of {len(own)}: {picture.name}", flush=True)
        try:
            caption = captions.get(picture.name, settings.caption) or _found_or_described(picture, directory, captioner)
            run = settings.clone()
            run.image, run.caption, run.out = str(picture), caption, str(directory)
            run.captions_from = run.rank = run.world_size = None  # What is said of all is not of this run.
            counts["drawn" if draw(run) else "finished before"] += 1
        except (*INPUT_ERRORS, CaptionError) as error:
            failed[picture.name] = one_line(error)
            print(f"{picture.name} failed", flush=True)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"stopped at {picture.name}; the same command continues") from None
    who = f"process {share.rank} of {share.world_size}: " if share.world_size > 1 else ""
    print(
        f"{who}{counts['drawn']} drawn, {counts['finished before']} finished before, {len(failed)} failed", flush=True
    )
    for name, line in failed.items():
        print(f"error: {name}: {line}", file=sys.stderr, flush=True)
    return 2 if failed else 0


def scene_around(picture: Path, captioner: Captioner) -> str:
    """A global caption for a picture that has none: what it shows and what may lie around it, in one caption.

    That is how the global captions of training are made (`data_prep.caption`).

    Raises:
        CaptionError: the captioner cannot look.
        ValueError: the picture cannot be read.
    """
    shown = captioner.describe(Image.fromarray(load_image(picture))).text
    around = [written.text for written in captioner.imagine(shown, NUM_IMAGINED)]
    return captioner.summarise([shown, *around]).text


def _check(settings: Namespace) -> tuple[dict[str, Path], dict[str, str], Path]:
    """Pictures by the name of their run, captions by the name of the picture, and the directory of the runs."""
    check_asked(settings, ("out",))
    directory, root, suffixes = Path(settings.image), Path(settings.out), picture_suffixes()
    pictures = _named(
        sorted(
            path
            for path in directory.iterdir()
            # Hidden files with such names are what file managers keep of pictures.
            if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
        ),
        root,
    )
    if not pictures:
        raise ValueError(f"--image {directory} must hold pictures ({', '.join(suffixes)}), got none")
    if (root / RUN_NAME).is_file():
        raise ValueError(f"--out must be a directory for many runs, but {root} is a run; choose another")
    check_writable(root)
    if settings.captions_from is None:
        begun = any((root / name / RUN_NAME).is_file() for name in pictures)
        if settings.caption is None and settings.captioner is None and not begun:
            raise ValueError(
                f"the pictures in {directory} have no captions, and rules cannot look at them; give --caption, "
                "--captions_from, or a --captioner that sees"
            )
        return pictures, {}, root
    captions = read_picture_captions(Path(settings.captions_from))
    names = {path.name for path in pictures.values()}
    without = names - captions.keys() if settings.caption is None else set()
    for what, missing in (("captions", without), ("pictures", captions.keys() - names)):
        if missing:
            raise ValueError(
                f"{settings.captions_from} and {directory} must name the same pictures; there are no {what} for "
                f"{', '.join(sorted(missing)[:3])}{' and others' if len(missing) > 3 else ''}"
                f"{'; --caption would be for these' if missing is without else ''}"
            )
    return pictures, captions, root


def _named(pictures: Sequence[Path], root: Path) -> dict[str, Path]:
    """Pictures by their name without its ending, or with it where that is the name of another's run.

    A picture keeps the name of its run when another comes beside it that differs in the ending alone. Names are told
    apart as a disk would that takes capital letters for small ones.
    """
    claims = Counter(claim for path in pictures for claim in {path.stem.casefold(), path.name.casefold()})
    whole = {path.name.casefold() for path in pictures}

    def name_of(path: Path) -> str:
        stem = path.stem.casefold()
        return path.stem if claims[stem] == 1 or (stem not in whole and _is_run_of(root / path.stem, path)) else path.name

    named = {name_of(path): path for path in pictures}
    assert len(named) == len(pictures)
    return named


def _is_run_of(directory: Path, picture: Path) -> bool:
    """Whether a run was begun with a picture of this name."""
    try:
        return Path(str(OutpaintRecord.load(directory).config.get("image"))).name == picture.name
    except ValueError:  # There is no run, or none that can be read.
        return False


def _found_or_described(picture: Path, directory: Path, captioner: Callable[[], Captioner]) -> str:
    """The caption that a run was begun with, else one that the captioner writes."""
    if (directory / RUN_NAME).is_file():
        return str(OutpaintRecord.load(directory).config["caption"])
    return scene_around(picture, captioner())
