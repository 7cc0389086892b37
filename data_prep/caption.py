"""The ``caption`` stage: imagine the surroundings from captions alone, then sum everything up.

As in the Infinite method (papers: arXiv 2407.12642): the local caption is one annotated caption, a captioner imagines
what lies around the frame, and the global caption summarises the annotated and the imagined captions. The captioner
never sees a picture or the world behind it; that is what makes the training zero-shot.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from data_prep.atomic import write_atomic
from data_prep.caption_journal import CaptionJournal, read_lines
from data_prep.config import CallConfig, CaptionConfig, settings_of
from data_prep.progress import progress
from data_prep.raw import RawRecord
from data_prep.tars import read_samples
from lit_outpaint.captions.fallback import WithFallback, with_chat
from lit_outpaint.captions.rules import RuleCaptioner
from lit_outpaint.captions.scene import read_scene
from lit_outpaint.chat.cache import CachedChat
from lit_outpaint.chat.ledger import Ledger, ledger_of
from lit_outpaint.data.schema import IMAGE_SUFFIX, RECORD_SUFFIX, SampleRecord
from lit_outpaint.protocols import Captioner, Written

MAX_CORPUS: Final = 5000
"""Captions that a captioner may pick from; more make it slower, not better."""

_CALLS: Final = ("imagine", "summarise")


@runtime_checkable
class PlacedCaptioner(Captioner, Protocol):
    """A captioner that knows the truth, and has to be told which picture it is asked about."""

    def about(self, record: RawRecord) -> Captioner:
        """The captioner for one picture.

        Raises:
            ValueError: it knows nothing of that picture's source.
        """
        ...


def build_captioner(config: CaptionConfig, call: CallConfig, corpus: Sequence[str]) -> Captioner:
    """The captioner of the stage: cached when asked for, and with rules behind it.

    Args:
        config: who writes.
        call: where answers are kept.
        corpus: captions of other pictures, for rules to pick from.

    Raises:
        ValueError: replies are to be kept of a captioner that asks no language model.
    """
    rules, chosen = RuleCaptioner(corpus), config.captioner
    if path := call.cache:
        cached = None if chosen is None else with_chat(chosen, lambda chat: CachedChat(chat, path))
        if cached is chosen:
            name = (chosen or rules).name
            raise ValueError(f"--cache keeps what language models reply; {name} asks none, leave it out")
        chosen = cached
    if isinstance(chosen, PlacedCaptioner):
        return chosen
    if chosen is None or (isinstance(chosen, RuleCaptioner) and not chosen.corpus):
        return rules
    return WithFallback(chosen, rules)


def describe_captioner(config: CaptionConfig) -> dict[str, str]:
    """Who writes and what the texts depend on (model, parameters, checksums of the prompts), for the card."""
    captioner = build_captioner(config, CallConfig(), ())
    identities = {name: json.dumps(captioner.identity(name), sort_keys=True) for name in _CALLS}
    return {"name": captioner.name, **identities}


def caption_settings(config: CaptionConfig) -> dict[str, Any]:
    """What the captions depend on."""
    return {**settings_of(config), "captioner_identity": describe_captioner(config)}


@dataclass(frozen=True)
class CaptionShard:
    """Writes the captions of a shard: one line per sample, a ``SampleRecord`` with its key.

    Killed at any moment and called again it continues with the first sample that is not finished.
    """

    raw: Path
    """Directory of the raw shards."""
    directory: Path
    """Of this stage."""
    captioner: Captioner
    imaginary: int
    """Imagined captions per window."""

    def __call__(self, stem: str) -> Ledger:
        """Make one shard, unless it is there; return what its captions cost."""
        path, unfinished = self.directory / f"{stem}.jsonl", self.directory / f"{stem}.journal"
        ledger = ledger_of(self.captioner)
        before = ledger.copy()
        if not path.exists():
            records = read_records(self.raw / f"{stem}.tar")
            with CaptionJournal(unfinished) as journal:
                missing = [(key, record) for key, record in records if key not in journal.lines]
                for key, sample in progress(self._answers(missing), len(missing), f"caption {stem}"):
                    journal.add(key, sample)
            write_atomic(path, "".join(journal.lines[key] for key, _ in records).encode())
        unfinished.unlink(missing_ok=True)
        return ledger.since(before)

    def _answers(self, records: Sequence[tuple[str, RawRecord]]) -> Iterator[tuple[str, SampleRecord]]:
        """Caption samples, as many at once as the captioner takes; in the order in which they are finished."""
        with ThreadPoolExecutor(self.captioner.concurrency) as pool:
            waiting = {
                pool.submit(caption_record, record, self.captioner, self.imaginary): key for key, record in records
            }
            try:
                for answer in as_completed(waiting):
                    yield waiting.pop(answer), answer.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def caption_record(record: RawRecord, captioner: Captioner, count: int) -> SampleRecord:
    """Imagine ``count`` captions for a sample and summarise."""
    captioner = captioner.about(record) if isinstance(captioner, PlacedCaptioner) else captioner
    imaginary = captioner.imagine(record.local_captions[record.local_index], count) if count else []
    texts = [written.text for written in imaginary]
    summary = captioner.summarise([*record.local_captions, *texts])
    provenance = {"local_captions": record.annotator, "global_caption": writers([summary])}
    if imaginary:
        provenance["imaginary_captions"] = writers(imaginary)
    return SampleRecord(
        id=record.id,
        source=record.source,
        licence=record.licence,
        local_captions=record.local_captions,
        local_index=record.local_index,
        imaginary_captions=texts,
        global_caption=summary.text,
        provenance=provenance,
    )


def writers(texts: Sequence[Written]) -> str:
    """Who wrote some texts, and instead of whom."""
    said = [text.writer + (f" instead of {text.instead_of}" if text.instead_of else "") for text in texts]
    return "; ".join(dict.fromkeys(said))


def read_captions(path: Path) -> dict[str, SampleRecord]:
    """Records by sample key, as ``CaptionShard`` wrote them."""
    return {key: SampleRecord.model_validate_json(line.split("\t", 1)[1]) for key, line in read_lines(path).items()}


def read_records(path: Path) -> list[tuple[str, RawRecord]]:
    """Keys and records of a raw shard, in its order."""
    samples = read_samples(path, (IMAGE_SUFFIX, RECORD_SUFFIX))
    return [(key, RawRecord.model_validate_json(members[RECORD_SUFFIX].data)) for key, members in samples]


def read_corpus(raw: Path, stems: Sequence[str]) -> list[str]:
    """Distinct local captions of training windows, in order.

    Captions that name the time, the weather or mountains are left out: an imagined neighbour must not decide what holds
    for the whole scene, which the annotated captions alone know.
    """
    captions: dict[str, None] = {}
    for stem in stems:
        if stem.startswith("train-") and len(captions) < MAX_CORPUS:
            local = (record.local_captions[record.local_index] for _, record in read_records(raw / f"{stem}.tar"))
            captions |= {caption: None for caption in local if not _names_global(caption)}
    return list(captions)[:MAX_CORPUS]


def _names_global(caption: str) -> bool:
    scene = read_scene(caption)
    return scene.time is not None or scene.weather is not None or scene.mountains is not None
