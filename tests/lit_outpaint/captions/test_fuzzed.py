"""Whatever stands in an answer of a model or in a file of captions: it is read, or it is one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lit_outpaint.captions.answers import CaptionAnswer, CaptionsAnswer
from lit_outpaint.captions.from_file import read_captions
from lit_outpaint.captions.of_pictures import read_picture_captions
from lit_outpaint.captions.reading import AnswerFault, read_texts
from lit_outpaint.chat.openai_wire import AnswerError, read_reply
from lit_outpaint.chat.thoughts import final_answer
from lit_outpaint.planning.answers import PlanFault, read_plan_answer

MANY = pytest.mark.parametrize("num_cases", [300, pytest.param(1000, marks=pytest.mark.slow)])
PIECES = (
    '{"caption": "a lake"}', '{"captions": ["a", ', '"a hill"]}', "{'caption': ", "{", "}", "[", "]", '"',
    "'", ",", ":",
    "\\", "\\ud83d", "\ud83d", "\u2028", "\u0000", "\ufeff", "<think>", "</think>", "[THINK]", "<|channel|>final",
    "<|message|>", "assistantfinal", "```json\n", "split_ratio", "Final split ratio: 1,1",
    "Regional Prompt: a BREAK b",
    " a lake, with a", "null", "NaN", "1e999", "//", "/*", "\n", "image,caption\n", "a.png\ta lake\n", '"a.png": "x"',
)  # fmt: skip
NAMES = ("caption", "captions", "image", "text", "content", "choices", "message")
ANYTHING = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.text(st.characters(categories=None), max_size=60),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | ANYTHING,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["caption", "captions", "image", "text", "content", "choices", "message"]), inner
        )
    ),
    max_leaves=8,
)
BYTES = st.one_of(
    st.binary(max_size=80),
    ANYTHING.map(lambda text: text.encode("utf-8", "surrogatepass")),
    ANYTHING.map(lambda text: text.encode("utf-16", "surrogatepass")),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.lists(JSON, max_size=4).map(lambda rows: b"\n".join(json.dumps(row).encode() for row in rows)),
)


def for_each(num_cases: int, check: Callable[..., None], *cases: st.SearchStrategy[Any]) -> None:
    """Check this many cases."""
    run = settings(max_examples=num_cases, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    run(given(*cases)(check))()


def is_one_line(error: Exception, named: str = "") -> None:
    assert len(str(error).encode().splitlines()) == 1
    assert named in str(error)


@MANY
def test_an_answer_is_clean_captions_or_a_fault_in_one_line(num_cases: int) -> None:
    def check(text: str) -> None:
        for form in (CaptionAnswer, CaptionsAnswer):
            try:
                captions = read_texts(final_answer(text), form)
            except AnswerFault as fault:
                is_one_line(fault)
            else:
                assert captions
                for caption in captions:
                    assert caption.isprintable()
                    assert any(map(str.isalnum, caption))
                    assert caption.encode()

    for_each(num_cases, check, ANYTHING | JSON.map(json.dumps))


@MANY
def test_a_plan_is_one_or_a_fault_in_one_line(num_cases: int) -> None:
    def check(text: str) -> None:
        try:
            plan = read_plan_answer(final_answer(text))
        except PlanFault as fault:
            is_one_line(fault)
        else:
            assert all(prompt.encode() and prompt.isprintable() for prompt in plan.prompts)

    for_each(num_cases, check, ANYTHING | JSON.map(json.dumps))


@MANY
def test_a_body_of_a_server_is_a_reply_or_an_error(num_cases: int) -> None:
    def check(raw: bytes, message: object) -> None:
        for body in (raw, json.dumps({"choices": [{"message": message}]}).encode()):
            try:
                assert isinstance(read_reply(body, []).text, str)
            except AnswerError as error:
                is_one_line(error)

    for_each(num_cases, check, BYTES, JSON)


@pytest.mark.parametrize("num_cases", [100, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("suffix", [".txt", ".yaml", ".json", ".jsonl", ".csv", ".tsv"])
def test_a_file_of_captions_is_read_or_named_in_one_line(tmp_path: Path, suffix: str, num_cases: int) -> None:
    path = tmp_path / f"captions{suffix}"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        for read in (read_captions, read_picture_captions):
            try:
                captions = read(path)
            except ValueError as error:
                is_one_line(error, str(path))
            else:
                # Names of pictures, the keys of the one, may hold what names of files may hold.
                texts = list(captions.values()) if isinstance(captions, dict) else captions
                assert all(text.encode() and len(text.splitlines()) == 1 for text in texts)

    for_each(num_cases, check, BYTES)
