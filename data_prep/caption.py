"""The ``caption`` stage: imagine the surroundings from captions alone, then sum everything up.

As in the Infinite method (papers: arXiv 2407.12642): the local caption is one annotated caption, a captioner imagines
what lies around the frame, and the global caption summarises the annotated and the imagined captions. The captioner
never sees a picture or the world behind it; that is what makes the training zero-shot.
"""

import hashlib
import importlib
import inspect
from pathlib import Path
from typing import Any, Final

from data_prep.config import CaptionConfig
from data_prep.progress import progress
from data_prep.raw import RawRecord
from data_prep.tars import read_samples
from data_prep.work import Work, write_atomic
from lit_outpaint.captions.scene import read_scene
from lit_outpaint.data.schema import IMAGE_SUFFIX, RECORD_SUFFIX, SampleRecord
from lit_outpaint.protocols import Captioner

MAX_CORPUS: Final = 5000
"""Captions that a captioner may pick from; more make it slower, not better."""


def load_captioner(class_path: str, corpus: list[str]) -> Captioner:
    """Make a captioner from its class path.

    Args:
        class_path: ``package.module.Class``.
        corpus: captions of other pictures; given to a class whose constructor takes ``corpus``.

    Raises:
        ValueError: there is no such class, or it is no captioner.
    """
    cls = _captioner_class(class_path)
    takes_corpus = "corpus" in inspect.signature(cls).parameters
    try:
        captioner = cls(corpus=corpus) if takes_corpus else cls()
    except TypeError as error:
        raise ValueError(f"captioner {class_path} cannot be made without arguments: {error}") from error
    if not isinstance(captioner, Captioner):
        raise ValueError(f"captioner {class_path} lacks a method of lit_outpaint.protocols.Captioner; choose another")
    return captioner


def describe_captioner(class_path: str) -> dict[str, str]:
    """Name, class path and checksum of the rules or prompts (the module's source), for the card."""
    cls = _captioner_class(class_path)
    source = inspect.getsource(inspect.getmodule(cls) or cls)
    digest = hashlib.sha256(source.encode()).hexdigest()
    return {"name": str(getattr(cls, "name", cls.__name__)), "class_path": class_path, "source_sha256": digest}


def write_captions(directory: Path, work: Work, config: CaptionConfig) -> None:
    """Write one line per sample, a ``SampleRecord`` with its key, for every raw shard.

    Args:
        directory: of this stage.
        work: gives the raw shards.
        config: who writes.
    """
    raw = work.stage("raw")
    captioner = load_captioner(config.captioner, _corpus(raw, work.shards("raw")))
    for stem in work.shards("raw"):
        path = directory / f"{stem}.jsonl"
        if path.exists():
            continue
        records = _records(raw / f"{stem}.tar")
        done = (
            f"{key}\t{_imagined(record, captioner, config.imaginary).model_dump_json()}\n"
            for key, record in progress(records, len(records), f"caption {stem}")
        )
        write_atomic(path, "".join(done).encode())


def read_captions(path: Path) -> dict[str, SampleRecord]:
    """Records by sample key, as ``write_captions`` wrote them."""
    rows = (line.split("\t", 1) for line in path.read_text(encoding="utf-8").splitlines())
    return {key: SampleRecord.model_validate_json(record) for key, record in rows}


def _imagined(record: RawRecord, captioner: Captioner, count: int) -> SampleRecord:
    imaginary = captioner.imagine(record.local_captions[record.local_index], count)
    return SampleRecord(
        id=record.id,
        source=record.source,
        licence=record.licence,
        local_captions=record.local_captions,
        local_index=record.local_index,
        imaginary_captions=imaginary,
        global_caption=captioner.summarise([*record.local_captions, *imaginary]),
        provenance={
            "local_captions": record.annotator,
            "imaginary_captions": captioner.name,
            "global_caption": captioner.name,
        },
    )


def _records(path: Path) -> list[tuple[str, RawRecord]]:
    samples = read_samples(path, (IMAGE_SUFFIX, RECORD_SUFFIX))
    return [(key, RawRecord.model_validate_json(members[RECORD_SUFFIX].data)) for key, members in samples]


def _corpus(raw: Path, stems: list[str]) -> list[str]:
    """Distinct local captions of training windows, in order.

    Captions that name the time, the weather or mountains are left out: an imagined neighbour must not decide what holds
    for the whole scene, which the annotated captions alone know.
    """
    captions: dict[str, None] = {}
    for stem in stems:
        if stem.startswith("train-") and len(captions) < MAX_CORPUS:
            local = (record.local_captions[record.local_index] for _, record in _records(raw / f"{stem}.tar"))
            captions |= {caption: None for caption in local if not _names_global(caption)}
    return list(captions)[:MAX_CORPUS]


def _names_global(caption: str) -> bool:
    scene = read_scene(caption)
    return scene.time is not None or scene.weather is not None or scene.mountains is not None


def _captioner_class(class_path: str) -> Any:
    module, _, name = class_path.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"captioner must be the class path of a Captioner, got {class_path!r}: {error}") from error
    if not inspect.isclass(cls):
        raise ValueError(f"captioner must be the class path of a Captioner, got {class_path!r}, which is no class")
    return cls
