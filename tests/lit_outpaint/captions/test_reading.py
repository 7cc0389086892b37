import pytest

from lit_outpaint.captions.answers import CaptionAnswer, CaptionsAnswer
from lit_outpaint.captions.reading import MAX_READ_CHARS, AnswerFault, read_texts

READABLE = {
    "plain": '{"caption": "a lake"}',
    "code fence": '```json\n{"caption": "a lake"}\n```',
    "text around": 'Sure! Here it is: {"caption": "a lake"} Anything else?',
    "closing stop and quotes": '{"caption": " \\"a lake.\\" "}',
    "trailing comma": '{"caption": "a lake",\n}',
    "single quotes": "{'caption': 'a lake'}",
    "one object in a list": '[{"caption": "a lake"}]',
    "more fields": '{"caption": "a lake", "confidence": 0.9}',
    "line break": '{"caption": "a\nlake"}',
    "control characters": '{"caption": "a\\u0007lake\\u0000"}',
    "endless white space after": '{"caption": "a lake"}' + " \n\t" * 5000,
    "the form comes first": 'As {"caption": "..."}: {"caption": "a lake"}',
    "no quotes": "{caption: a lake}",
    "a comment": '{"caption": "a lake" // what lies to the left\n}',
    "no comma": '{"caption": "a lake" "confidence": 0.9}',
    "a field cut short": '{"caption": "a lake", "confidence": 0.',
    "an apostrophe before": "Here's the JSON: {'caption': 'a lake'}",
    "half an emoji": '{"caption": "a \\ud83d lake"}',
    "what no encoding can write": '{"caption": "a lake\ud83d"}',
    "a line separator": '{"caption": "a\u2028lake"}',
    "goes on as the user": '{"caption": "a lake"}\nuser: {"caption": "a hill"}',
    "another object first": '{"thought": "hm"} {"caption": "a lake"}',
}

FAULTS = {
    "": "is empty",
    " \n" * 9000: "is empty",
    "a lake": "holds no JSON object",
    "null": "holds no JSON object",
    '{"caption": "a la': "cut short",
    '{"caption": ': "cut short",
    '{"captions": ["a lake"]}': "caption: Field required",
    '{"caption": ""}': "caption: String should have at least 1 character",
    '{"caption": "..."}': "holds no word",
    '{"caption": 3}': "caption: Input should be a valid string",
    '{"caption": null}': "caption: Input should be a valid string",
    '{"caption": "' + "a lake " * 200 + '"}': "at most 600 characters",
    "{": "cut short",
    "{}": "caption: Field required",
    "{...}": "no valid JSON",
    "{" * 900 + "}" * 900: "cut short",
    '{"caption": "a red barn and a la': "cut short",
    '{"caption": "a lake, a ba': "cut short",
    '["a lake", "a hill"]': "valid dictionary",
    "[" * (MAX_READ_CHARS - 1): "nested too deeply",
    "{" * (MAX_READ_CHARS - 1): "cut short",
    '{"a":' * 3000: "cut short|nested too deeply",
    "'" * 9000: "holds no JSON object",
    "a" * (MAX_READ_CHARS + 1): "longer than 20000 characters",
}


@pytest.mark.parametrize("case", READABLE)
def test_an_answer_is_read_whatever_is_around_it(case: str) -> None:
    assert read_texts(READABLE[case], CaptionAnswer) == ["a lake"]


@pytest.mark.parametrize("text", FAULTS, ids=lambda text: repr(text[:20]))
def test_what_is_no_answer_is_a_fault_said_in_one_line(text: str) -> None:
    with pytest.raises(AnswerFault, match=FAULTS[text]) as caught:
        read_texts(text, CaptionAnswer)
    assert len(str(caught.value).splitlines()) == 1


def test_of_an_answer_that_was_cut_short_whole_captions_and_clauses_are_kept() -> None:
    cut = '{"captions": ["a lake", "a red barn in a meadow, with a tree and a wood", "a hi'
    assert read_texts(cut, CaptionsAnswer) == ["a lake", "a red barn in a meadow, with a tree and a wood"]
    assert read_texts(cut[:-20], CaptionsAnswer) == ["a lake", "a red barn in a meadow"]
    assert read_texts('{"caption": "a red barn in a meadow, with a tr', CaptionAnswer) == ["a red barn in a meadow"]


def test_quotes_inside_of_a_caption_are_kept() -> None:
    assert read_texts('{"caption": "a sign that says "stop" at a road"}', CaptionAnswer) == [
        'a sign that says "stop" at a road'
    ]


def test_a_list_of_captions_is_read_without_those_that_hold_no_word() -> None:
    assert read_texts('{"captions": ["a lake", "...", "a hill,"],}', CaptionsAnswer) == ["a lake", "a hill"]
    with pytest.raises(AnswerFault, match="valid list"):
        read_texts('{"captions": "a lake"}', CaptionsAnswer)
