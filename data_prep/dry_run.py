"""``caption --dry-run``: what the captions would cost, counted on the way that they would take."""

from data_prep.caption import build_captioner, caption_record, caption_settings, read_corpus, read_records
from data_prep.caption_journal import read_lines
from data_prep.config import CallConfig, CaptionConfig
from data_prep.work import Work
from lit_outpaint.captions.estimate import CHARS_PER_TOKEN, counting
from lit_outpaint.chat.ledger import ledger_of
from lit_outpaint.system.ranks import ALONE, Share


def dry_run(work: Work, config: CaptionConfig, call: CallConfig, share: Share = ALONE) -> str:
    """Count calls, tokens and money for the samples that are not captioned yet; nothing is asked and nothing written.

    Answers are taken to be as long as the prompts ask for, and to pass at the first try.

    Args:
        work: gives the raw shards.
        config: who writes.
        call: cache and prices.
        share: this process among those that work together.

    Returns:
        A few lines for people.

    Raises:
        ValueError: the raw shards are not complete.
    """
    work.settings("raw")  # Refuses what is not there, or not complete.
    current = work.made_with("captions", caption_settings(config), after="raw")
    raw, done, stems = work.stage("raw"), work.stage("captions"), work.shards("raw")
    captioner = counting(build_captioner(config, call, read_corpus(raw, stems)))
    total = left = 0
    for stem in share.of(stems):
        finished = {**read_lines(done / f"{stem}.jsonl"), **read_lines(done / f"{stem}.journal")} if current else {}
        records = read_records(raw / f"{stem}.tar")
        missing = [record for key, record in records if key not in finished]
        for record in missing:
            caption_record(record, captioner, config.imaginary)
        total, left = total + len(records), left + len(missing)
    cost = ledger_of(captioner).text(call) or "captions: no language model is asked, nothing to pay"
    return "\n".join(
        [
            f"dry run: {left:,} of {total:,} windows to be captioned by {captioner.name}; nothing was asked or written",
            cost,
            f"  estimated without retries and repairs, which can double it; at {CHARS_PER_TOKEN} characters a token "
            "where the model is not in this process",
        ]
    )
