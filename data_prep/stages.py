"""The stages in order, each with its checks: what ``python -m data_prep`` runs."""

from pathlib import Path
from typing import Any

from data_prep.caption import load_captioner, write_captions
from data_prep.config import CaptionConfig, EncodeConfig, MachineConfig, SourceConfig, settings_of
from data_prep.progress import say
from data_prep.work import Work
from lit_outpaint.data.fingerprint import encoder_fingerprints
from lit_outpaint.data.integrity import load_card
from lit_outpaint.data.schema import CARD_NAME, Card, ShardError


def run_all(
    out: Path,
    source: SourceConfig,
    caption: CaptionConfig,
    encode: EncodeConfig,
    machine: MachineConfig,
    *,
    keep_work: bool = False,
    overwrite: bool = False,
) -> Card:
    """Prepare a whole set; a set that is there already with the same settings is left as it is.

    Everything that can be refused is refused before the first file is written.

    Raises:
        ValueError: a setting is wrong, the models are missing, or ``out`` holds another set.
    """
    fingerprints = encoder_fingerprints(Path(encode.models))
    load_captioner(caption.captioner, [])
    settings = {"source": "scapes", **settings_of(source, caption, encode)}
    existing = existing_card(out, settings, fingerprints, overwrite)
    if existing is not None:
        return existing
    work = Work(out)
    with work.lock():
        scapes_stage(work, source, machine)
        caption_stage(work, caption)
        encode_stage(work, encode, machine)
        card = pack_stage(work)
        if not keep_work:
            work.remove()
    return card


def scapes_stage(work: Work, config: SourceConfig, machine: MachineConfig) -> None:
    """Render windows and the evaluation set of the scapes world."""
    from data_prep.scapes.shards import write_evalset, write_windows

    settings = {"source": "scapes", **settings_of(config)}
    say(f"scapes: {config.windows} training, {config.val_windows} validation windows, {config.panoramas} panoramas")
    write_windows(work.begin("raw", settings), config, workers=machine.processes)
    work.finish("raw")
    evalset = work.begin("evalset", settings)
    if not work.is_done("evalset"):
        write_evalset(evalset, config, workers=machine.processes)
        work.finish("evalset")


def caption_stage(work: Work, config: CaptionConfig) -> None:
    """Imagine the surroundings and summarise."""
    directory = work.begin("captions", settings_of(config), after="raw")
    say(f"caption: {config.imaginary} imaginary captions per window by {config.captioner}")
    write_captions(directory, work, config)
    work.finish("captions")


def encode_stage(work: Work, config: EncodeConfig, machine: MachineConfig) -> None:
    """Compute the features."""
    # torch and diffusers take seconds to load; the other stages do without.
    from data_prep.encode import write_features

    settings = {**settings_of(config), "encoders": encoder_fingerprints(Path(config.models))}
    directory = work.begin("features", settings, after="captions")
    say(f"encode: views {', '.join(config.views)} with {config.models}")
    write_features(directory, work, config, machine)
    work.finish("features")


def pack_stage(work: Work) -> Card:
    """Write shards, index and card."""
    from data_prep.pack import pack

    stages = {name: work.settings(name)["settings"] for name in ("raw", "captions", "features")}
    settings = {key: value for stage in stages.values() for key, value in stage.items() if key != "encoders"}
    features = stages["features"]
    views = EncodeConfig(ratios=tuple(features["ratios"]), directions=tuple(features["directions"])).views
    return pack(work, settings, views, features["encoders"])


def existing_card(out: Path, settings: dict[str, Any], encoders: dict[str, str], overwrite: bool) -> Card | None:
    """The card of a set that is there already with these settings; None when there is none, or it may be replaced.

    Raises:
        ValueError: ``out`` holds a set with other settings, or something that is no set.
    """
    if overwrite or not out.exists():
        return None
    if not out.is_dir():
        raise ValueError(f"--out must be a directory, {out} is a file; choose another")
    if not (out / CARD_NAME).exists():
        strangers = [path.name for path in out.iterdir() if path.name != "work"]
        if strangers and not (out / "work").is_dir():
            raise ValueError(f"{out} is not empty ({strangers[0]}) and no shard set; choose another --out")
        return None
    try:
        card = load_card(out)
    except ShardError as error:
        raise ValueError(f"{error}; or replace it with --overwrite") from error
    if card.settings != settings or card.encoders != encoders:
        raise ValueError(f"{out} holds a shard set with other settings; choose another --out or give --overwrite")
    return card
