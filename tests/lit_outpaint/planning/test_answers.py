import json
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_outpaint.planning.answers import MAX_PROMPT_CHARS, MAX_READ_CHARS, PlanFault, Proposal, read_plan_answer
from lit_outpaint.planning.boxes import RegionBox
from lit_outpaint.planning.planner import ONE_REGION, LanguageModelPlanner
from lit_outpaint.planning.regions import RegionPlan
from lit_outpaint.testing.models import ScriptedChat
from lit_outpaint.testing.servers import INJECTION

PROMPTS = ("a clear blue sky", "a red barn with a white door", "a blue tent")
RATIO = "1;2,1,1"


def as_json(ratio: Any = RATIO, prompts: Any = PROMPTS, **more: Any) -> str:
    return json.dumps(
        {"entities": ["a barn"], "reasoning": "two rows", "split_ratio": ratio, "regional_prompts": prompts} | more
    )


def as_labels(ratio: str = RATIO, prompts: str = " BREAK ".join(PROMPTS)) -> str:
    return f"The picture has two rows.\nFinal split ratio: {ratio}\nRegional Prompt: {prompts}"


def as_boxes(*boxes: Any, prompt: Any = "a barn") -> str:
    return json.dumps({"reasoning": "room", "regions": [{"prompt": prompt, "box": box} for box in boxes]})


READABLE = {
    "json": as_json(),
    "code fence": f"Sure!\n```json\n{as_json()}\n```\nEnjoy.",
    "trailing comma": as_json()[:-1] + ",}",
    "in a list": f"[{as_json()}]",
    "no reasoning": json.dumps({"split_ratio": RATIO, "regional_prompts": PROMPTS}),
    "bad entities": as_json(entities=[{"name": 3}], reasoning=None),
    "spaces in json": as_json(" 1 ; 2 , 1,\n1 "),
    "labels": as_labels(),
    "space after the semicolon": as_labels("1; 2, 1, 1"),
    "quotes": as_labels('"1;2,1,1"', '"' + " BREAK ".join(PROMPTS) + '"'),
    "brackets": as_labels("[1;2,1,1]"),
    "bold": as_labels("**1;2,1,1**").replace("Final split ratio:", "**Final Split Ratio:**"),
    "closing stop": as_labels("1;2,1,1."),
    "ratio over lines": as_labels("\n1;\n2,1,1\n"),
    "prompts over lines": as_labels(prompts="\n" + "\nBREAK\n".join(PROMPTS) + "\n\nI hope that this helps!"),
    "prompts first": "Regional Prompts: " + " BREAK ".join(PROMPTS) + "\nFinal split ratio: 1;2,1,1",
    "an example before": as_labels("1,1", "x BREAK y") + "\n\nNo, better:\n" + as_labels(),
    "broken json around labels": '{"note": ' + as_labels(),
}


@pytest.mark.parametrize("case", READABLE)
def test_a_plan_is_read_in_either_form_whatever_is_around_it(case: str) -> None:
    read = read_plan_answer(READABLE[case])
    assert read.prompts == PROMPTS
    assert [box.as_tuple() for box in read.boxes] == [(0, 0, 1, 1 / 3), (0, 1 / 3, 0.5, 1), (0.5, 1 / 3, 1, 1)]


def test_boxes_are_read() -> None:
    read = read_plan_answer(as_boxes([0, 0, 0.5, 1], [0.5, 0, 1, 1.0]))
    assert read.boxes == (RegionBox(0, 0, 0.5, 1), RegionBox(0.5, 0, 1, 1))
    assert read.grid is None


def words_for_numbers(draw: random.Random) -> str:
    return ";".join(draw.choices(["one", "two", "a half", "1/3", "50%", "big", "1 to 2", "-"], k=draw.randint(1, 4)))


def nested(draw: random.Random) -> str:
    depth = draw.choice([50, 500, 5000, 19_000])
    return draw.choice(["[", "{", '{"a":', "[[{", "("]) * depth


def half_json(draw: random.Random) -> str:
    text = as_json()
    return text[: draw.randint(1, len(text) - 2)]


def bad_box(draw: random.Random) -> list[Any]:
    good = sorted(draw.random() for _ in range(4))
    bad = draw.choice(
        [
            lambda: [good[0], good[1], good[2] + 1, good[3]],
            lambda: [-good[0] - 0.01, good[1], good[2], good[3]],
            lambda: [good[2], good[1], good[0], good[3]],
            lambda: [float("nan"), good[1], good[2], good[3]],
            lambda: [good[0], good[1], float("inf"), good[3]],
            lambda: good[:3],
            lambda: [*good, 1],
            lambda: [*good[:3], "right"],
            lambda: [*good[:3], None],
            lambda: [0, 0, 512, 512],
            lambda: {"x": 0, "y": 0, "w": 1, "h": 1},
            lambda: "0,0,1,1",
            lambda: [good[0], good[1], good[0], good[3]],
            lambda: [[0, 0], [1, 1]],
            lambda: [10**400, 0, 1, 1],
        ]
    )
    return bad()


def wrong_count(draw: random.Random) -> str:
    count = draw.choice([1, 2, 4, 5, 30])
    prompts = [f"thing {number}" for number in range(count)]
    return draw.choice([as_json(prompts=prompts), as_labels(prompts=" BREAK ".join(prompts))])


def many_cells(draw: random.Random) -> str:
    ratio = draw.choice([",", ";"]).join(["1"] * draw.choice([65, 500, 10_000]))
    return draw.choice([as_json(ratio), as_labels(ratio)])


def unicode_digits(draw: random.Random) -> str:
    table = {
        ord("1"): draw.choice("\u0661\u0967\uff11\u00b9\U0001d7cf"),
        ord("2"): draw.choice("\u0662\u0968\uff12\u00b2"),
    }
    ratio = RATIO.translate(table)
    return draw.choice([as_json(ratio), as_labels(ratio)])


def missing_label(draw: random.Random) -> str:
    lines = as_labels().splitlines()
    del lines[draw.randint(1, 2)]
    return "\n".join(lines) + draw.choice(["", "\nDone.", "\nBREAK"])


def bad_ratio(draw: random.Random) -> str:
    ratio = draw.choice(
        [
            "",
            "0;0",
            "1;;1",
            "nan,1",
            "1e5,1",
            "-1,2",
            "1;2,1,,1",
            "1:2",
            "1 2",
            "inf;1",
            "1;0,1,1",
            "1,5000",
            "+1,1",
            "0x1,1",
        ]
    )
    return draw.choice([as_json(ratio), as_json([1, 2]), as_json(None), as_json(12), as_labels(ratio)])


def bad_prompts(draw: random.Random) -> str:
    bad: Any = draw.choice(
        ["", " ", "...", "\u0000", None, 3, ["a"], {"prompt": "a"}, "x" * (MAX_PROMPT_CHARS + 1), "\ud83d"]
    )
    return as_json(prompts=[*PROMPTS[:2], bad])


def html(draw: random.Random) -> str:
    page = "<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1><script>alert(1)</script></body></html>"
    return draw.choice(
        [page, page * 50, f"<!doctype html>{page}", "<p>Final split</p>", "<?xml version='1.0'?><plan/>"]
    )


def injection(draw: random.Random) -> str:
    return draw.choice(
        [
            INJECTION,
            json.dumps({"caption": INJECTION}),
            json.dumps({"system": INJECTION, "tool": {"name": "shell", "arguments": "rm -rf /"}}),
            as_labels(INJECTION),
            as_json(ratio=f"1;1; {INJECTION}"),
            f"[INST] {INJECTION} [/INST] <|im_end|>",
        ]
    )


def noise(draw: random.Random) -> str:
    letters = draw.choice(["abc ,;:\n", "{}[]\"',:", "\u0000\u200b\ufeff\u202e", "01;,.", "\U0001f600 "])
    return "".join(draw.choices(letters, k=draw.choice([1, 10, 300, 3000])))


MALFORMED: dict[str, Callable[[random.Random], str]] = {
    "words for numbers": lambda draw: draw.choice([as_json, as_labels])(words_for_numbers(draw)),
    "nested brackets": nested,
    "half a JSON": half_json,
    "boxes": lambda draw: as_boxes(bad_box(draw)),
    "wrong count": wrong_count,
    "10,000 cells": many_cells,
    "unicode digits": unicode_digits,
    "missing label": missing_label,
    "bad ratio": bad_ratio,
    "bad prompts": bad_prompts,
    "HTML": html,
    "prompt injection": injection,
    "noise": noise,
    "white space": lambda draw: draw.choice([" ", "\n", "\t \r\n", "\u00a0"]) * draw.choice([1, 1000, 39_000]),
    "too long": lambda draw: as_json() + draw.choice("x {[") * (MAX_READ_CHARS + draw.randint(0, 9)),
    "other JSON": lambda draw: draw.choice(
        ["null", "3", "[]", "{}", '[{"a": 1}]', '"1;1"', '{"split_ratio": "1"}', '{"regions": []}']
    ),
}


def malformed(count: int) -> list[tuple[str, str]]:
    kinds = list(MALFORMED)
    return [
        (kinds[number % len(kinds)], MALFORMED[kinds[number % len(kinds)]](random.Random(number)))
        for number in range(count)
    ]


def test_500_malformed_answers_are_each_refused_with_a_reason_at_once() -> None:
    causes: dict[str, Counter[str]] = {}
    for kind, text in malformed(500):
        start = time.process_time()
        with pytest.raises(PlanFault) as caught:
            read_plan_answer(text)
        assert time.process_time() - start < 1, kind
        assert str(caught.value), kind
        assert len(str(caught.value).splitlines()) == 1, kind
        causes.setdefault(kind, Counter())[caught.value.cause] += 1
    assert causes.keys() == MALFORMED.keys()
    assert set(causes["wrong count"]) == {"wrong_count"}
    assert (
        set(causes["words for numbers"])
        == set(causes["unicode digits"])
        == set(causes["10,000 cells"])
        == {"bad_ratio"}
    )
    assert set(causes["boxes"]) == {"bad_boxes"}
    assert set(causes["bad prompts"]) == {"bad_prompts"}
    assert set(causes["missing label"]) == set(causes["HTML"]) == {"no_plan"}
    assert set(causes["too long"]) == {"too_long"}


def test_500_malformed_answers_each_end_as_one_region_and_are_told_and_counted() -> None:
    counted: Counter[str] = Counter()
    for kind, text in malformed(500):
        planner = LanguageModelPlanner(ScriptedChat([text]))
        planned = planner.plan("a red barn left of a blue tent")
        assert planned.writer == ONE_REGION, kind
        assert [region.prompt for region in planned.plan.regions] == ["a red barn left of a blue tent"]
        name, _, cause = planned.instead_of.partition(": ")
        assert name == planner.name
        assert planner.ledger.fallbacks == {cause: 1}
        assert (planner.ledger["turns"], planner.ledger["repairs"]) == (2, 1)
        counted[cause] += 1
    assert sum(counted.values()) == 500


def _is_plan(read: Proposal) -> bool:
    assert len(read.prompts) == len(read.boxes) >= 1
    return all(any(map(str.isalnum, prompt)) for prompt in read.prompts)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(max_size=300),
        st.builds(as_json, st.text(max_size=20), st.lists(st.text(max_size=20), max_size=4)),
        st.builds(as_labels, st.text(alphabet="0123456789.,; \n[]a", max_size=20), st.text(max_size=60)),
        st.builds(as_boxes, st.lists(st.floats(), max_size=5), prompt=st.text(max_size=10)),
        st.tuples(st.sampled_from(sorted(READABLE.values())), st.integers(0, 400), st.text(max_size=3)).map(
            lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
        ),
    )
)
def test_any_answer_is_a_plan_or_a_fault(text: str) -> None:
    try:
        read = read_plan_answer(text)
    except PlanFault:
        return
    assert _is_plan(read)
    planned = LanguageModelPlanner(ScriptedChat([text])).plan("a scene")
    assert isinstance(planned.plan, RegionPlan)
