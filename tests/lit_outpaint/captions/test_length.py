from lit_outpaint.captions.length import cut_off
from lit_outpaint.testing import toy_tokenizer


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
