"""What a source hands to the later stages: ``KEY.webp`` and ``KEY.json`` in raw tars."""

from pydantic import Field

from lit_outpaint.data.schema import Strict


class RawRecord(Strict):
    """A window's origin and its annotated captions, before anything is imagined."""

    id: str
    """Identity in the source."""
    source: str
    licence: str
    local_captions: list[str] = Field(min_length=1)
    local_index: int = Field(ge=0)
    """Which caption is the local one."""
    annotator: str
    """Who wrote the local captions."""
