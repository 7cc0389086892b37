"""The stages in order, each with its checks: what ``python -m data_prep`` runs."""

from pathlib import Path
from typing import Any

from data_prep.caption import CaptionShard, build_captioner, caption_settings, describe_captioner, read_corpus
from data_prep.coco.config import CocoConfig
from data_prep.config import CallConfig, CaptionConfig, EncodeConfig, MachineConfig, ScapesConfig, settings_of
from data_prep.engines import make_engine
from data_prep.progress import say
from data_prep.published import check_only_ours
from data_prep.source import LEFT_OUT_NAME, Source, rank_words, read_counts, run_source
from data_prep.work import Work
from lit_outpaint.chat.ledger import Ledger
from lit_outpaint.data.fingerprint import encoder_fingerprints, family_window_px
from lit_outpaint.data.schema import CARD_NAME, Card, ShardError
from lit_outpaint.data.shard_set import load_card
from lit_outpaint.system.ranks import ALONE, Share


def run_all(
    out: Path,
    source: ScapesConfig | CocoConfig,
    caption: CaptionConfig,
    encode: EncodeConfig,
    machine: MachineConfig,
    call: CallConfig = CallConfig(),
    *,
    keep_work: bool = False,
    overwrite: bool = False,
) -> Card:
    """Prepare a whole set; a set that is there already with the same settings is left as it is.

    Everything that can be refused is refused before the first file is written.

    Raises:
        ValueError: a setting is wrong, the models are missing, or ``out`` holds another set.
    """
    fingerprints = encoder_fingerprints(encode.models, encode.vision)
    chosen = make_source(source, encode)
    told = chosen.settings()
    settings = {"source": chosen.name, **told, **settings_of(caption, encode)}
    work = Work(out)
    check_only_ours(work)
    existing = existing_card(out, settings, fingerprints, describe_captioner(caption), overwrite)
    if existing is not None:
        if work.is_ours and not keep_work:
            with work.lock():
                work.remove()
        return existing
    with work.lock():
        if overwrite:
            work.start_over()
        run_source(work, chosen, told, machine)
        caption_stage(work, caption, call, machine)
        encode_stage(work, encode, machine)
        card = pack_stage(work, machine)
        if keep_work:
            work.end()
        else:
            work.remove()
    return card


def make_source(config: ScapesConfig | CocoConfig, encode: EncodeConfig | None = None) -> Source:
    """The source that a config is for; the scapes world is only loaded when it is wanted.

    Args:
        config: of the source.
        encode: which family will encode its windows, when that is known; decides their size where ``config`` does not.
    """
    if isinstance(config, CocoConfig):
        from data_prep.coco.source import CocoSource

        return CocoSource(config.resolved(family_window_px(encode.models) if encode else None))
    from data_prep.scapes.shards import ScapesSource

    return ScapesSource(config)


def caption_stage(
    work: Work,
    config: CaptionConfig,
    call: CallConfig = CallConfig(),
    machine: MachineConfig = MachineConfig(),
    share: Share = ALONE,
) -> None:
    """Imagine the surroundings and summarise."""
    directory = work.begin("captions", caption_settings(config), after="raw")
    raw, stems = work.stage("raw"), work.shards("raw")
    captioner = build_captioner(config, call, read_corpus(raw, stems))
    say(f"caption: {config.imaginary} imaginary captions per window by {captioner.name}" + rank_words(share))
    shard = CaptionShard(raw, directory, captioner, config.imaginary)
    # One process here: a captioner asks many times at once by itself.
    engine = make_engine(machine.engine, 1)
    ledger = sum(engine.map(shard, share.of(stems), "caption"), Ledger())
    for line in (ledger.text(call), ledger.shares(), ledger.warning() and f"warning: {ledger.warning()}"):
        if line:
            say(line)
    if not work.missing("captions", stems):
        work.finish("captions")


def encode_stage(work: Work, config: EncodeConfig, machine: MachineConfig, share: Share = ALONE) -> None:
    """Compute the features."""
    settings = {**settings_of(config), "encoders": encoder_fingerprints(config.models, config.vision)}
    directory = work.begin("features", settings, after="captions")
    # torch and diffusers take seconds to load; the other stages, and a refusal, do without.
    from data_prep.encode import write_features

    say(f"encode: views {', '.join(config.views)} with {config.models}" + rank_words(share))
    if write_features(directory, work, config, machine, share):
        work.finish("features")


def pack_stage(work: Work, machine: MachineConfig = MachineConfig()) -> Card:
    """Write shards, index and card.

    Raises:
        ValueError: a stage is missing, was made from another run of the one before, or foreign files are in the way.
    """
    from data_prep.pack import Made, pack

    work.check_chain("raw", "captions", "features")
    check_only_ours(work)
    stages = {name: work.settings(name)["settings"] for name in ("raw", "captions", "features")}
    apart = ("encoders", "captioner_identity")
    settings = {key: value for stage in stages.values() for key, value in stage.items() if key not in apart}
    made = Made(
        settings=settings,
        counts=dict(read_counts(work)),
        encoders=stages["features"]["encoders"],
        captioner=stages["captions"]["captioner_identity"],
    )
    return pack(work, made, machine.make_engine())


def existing_card(
    out: Path, settings: dict[str, Any], encoders: dict[str, str], captioner: dict[str, str], overwrite: bool
) -> Card | None:
    """The card of a set that is there already with these settings; None when there is none, or it may be replaced.

    Raises:
        ValueError: ``out`` holds a set with other settings, or something that is no set.
    """
    if overwrite or not out.exists():
        return None
    if not out.is_dir():
        raise ValueError(f"--out must be a directory, {out} is a file; choose another")
    if not (out / CARD_NAME).exists():
        strangers = [path.name for path in out.iterdir() if path.name != LEFT_OUT_NAME]
        if strangers and not Work(out).is_ours:
            raise ValueError(f"{out} is not empty ({strangers[0]}) and no shard set; choose another --out")
        return None
    try:
        card = load_card(out)
    except ShardError as error:
        raise ValueError(f"{error}; or replace it with --overwrite") from error
    if card.settings != settings or card.encoders != encoders or card.captioner != captioner:
        raise ValueError(f"{out} holds a shard set with other settings; choose another --out or give --overwrite")
    return card
