from pathlib import Path

import pytest
from transformers import CLIPTokenizer

from lit_outpaint.captions.length import CaptionLimit, cut_off
from lit_outpaint.testing.models import toy_tokenizer


def test_only_what_the_encoder_does_not_read_is_named() -> None:
    tokenizer = toy_tokenizer()
    caption = "a meadow with a red barn " * 30
    end = cut_off(tokenizer, caption)
    assert end
    kept = tokenizer(caption, truncation=True, max_length=77).input_ids[1:-1]
    assert kept + tokenizer(end).input_ids[1:-1] == tokenizer(caption).input_ids[1:-1]


def test_a_caption_that_fits_exactly_loses_nothing() -> None:
    tokenizer = toy_tokenizer()
    word = tokenizer("lake").input_ids[1:-1]
    fitting = " ".join(["lake"] * (75 // len(word)))
    assert cut_off(tokenizer, fitting) == ""
    assert cut_off(tokenizer, fitting + " lake lake") != ""


@pytest.fixture(scope="module")
def limit(toy_family: Path) -> CaptionLimit:
    return CaptionLimit(str(toy_family / "tokenizer"))


def test_a_count_is_that_of_the_tokenizer_itself(limit: CaptionLimit, toy_family: Path) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(toy_family / "tokenizer")
    for caption in ("a lake", "Two red  barns, at night!", "x" * 300):
        assert limit.count(caption) == len(tokenizer(caption).input_ids)


def test_a_caption_is_cut_where_its_last_whole_clause_ends(limit: CaptionLimit) -> None:
    for clause in (" with a red barn", ", a red barn"):
        caption = "a meadow" + clause * 40
        cut = limit.cut(caption)
        assert limit.fits(cut)
        assert caption.startswith(cut + clause)
        assert not limit.fits(cut + clause + clause)


def test_where_no_clause_ends_a_caption_is_cut_at_a_word_that_can_stand_last(limit: CaptionLimit) -> None:
    caption = "a " + "red " * 90
    cut = limit.cut(caption)
    assert cut.endswith("red")
    assert not limit.fits(cut + " red")
    assert limit.cut("lake of the " * 60).endswith("lake")
    # A clause that ends far in front would throw too much away.
    assert len(limit.cut("a mill, " + "red " * 90).split()) > 10
    with pytest.raises(ValueError, match="must begin with a word of at most 77 tokens"):
        limit.cut("q" * 500)


def test_a_directory_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="CLIP tokenizer, got"):
        CaptionLimit(str(tmp_path))
