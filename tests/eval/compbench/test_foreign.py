import json
from pathlib import Path

import pytest
from PIL import Image

from eval.compbench.foreign import ForeignFormat, pictures_of, read_foreign
from eval.compbench.items import Item
from eval.compbench.noun_phrases import noun_phrases
from eval.compbench.vqa import VqaJudge, vqa_scores
from eval.testing import GivenAnswers

DPG = """item_id,text,proposition_id,dependency,category_broad,category_detailed,tuple,question_natural_language
7,a red barn,1,0,entity,whole,entity - whole (barn),Is there a barn?
7,a red barn,2,1,attribute,color,"attribute - color (barn, red)",Is the barn red?
9,a lake,1,0,entity,whole,entity - whole (lake),Is there a lake?
"""
GENEVAL = {
    "tag": "position",
    "include": [{"class": "bus", "count": 1}, {"class": "cup", "count": 2, "color": "red", "position": ["left of", 0]}],
    "prompt": "two red cups left of a bus",
}
GENEVAL2 = {
    "prompt": "four white bicycles",
    "atom_count": 3,
    "vqa_list": [["How many bicycles are there?", "four"], ["Are the bicycles white?", "Yes"]],
    "skills": ["count", "attribute"],
}


def _file(tmp_path: Path, text: str, name: str = "color.txt") -> Path:
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_t2icompbench_asks_for_its_noun_phrases_up_to_their_count(tmp_path: Path) -> None:
    path = _file(tmp_path, "a green bench and a blue bowl\na red cup, a round plate and an oval tray\tseen\n")
    items = read_foreign(path, "t2icompbench", 2)
    assert [[question.text for question in item.questions] for item in items] == [
        ["a green bench?", "a blue bowl?"],
        ["a red cup?", "a round plate?"],
    ]
    assert [(item.key, item.category) for item in items] == [("00000", "color"), ("00001", "color")]
    assert len(read_foreign(path, "t2icompbench", 8)[1].questions) == 3


def test_geneval_questions_follow_what_must_be_included(tmp_path: Path) -> None:
    (item,) = read_foreign(_file(tmp_path, json.dumps(GENEVAL)), "geneval", 8)
    assert [(question.text, question.answer, question.skill) for question in item.questions] == [
        ("Is there a bus in the image?", "yes", "object"),
        ("Is there a cup in the image?", "yes", "object"),
        ("How many cups are in the image?", "two", "count"),
        ("Is the cup red?", "yes", "color"),
        ("Is the cup left of the bus?", "yes", "position"),
    ]


def test_geneval_2_brings_its_own_questions(tmp_path: Path) -> None:
    (item,) = read_foreign(_file(tmp_path, json.dumps(GENEVAL2)), "geneval", 8)
    assert [tuple(question)[:3] for question in item.questions] == [
        ("How many bicycles are there?", "four", "count"),
        ("Are the bicycles white?", "Yes", "attribute"),
    ]


def test_dpg_keeps_what_questions_depend_on(tmp_path: Path) -> None:
    barn, lake = read_foreign(_file(tmp_path, DPG), "dpg", 8)
    assert [question.parents for question in barn.questions] == [(), (0,)]
    assert (barn.key, lake.text, barn.skills) == ("7", "a lake", ("entity", "attribute"))


@pytest.mark.parametrize(
    ("format", "text"), [("geneval", "{}"), ("geneval", "no json"), ("dpg", "a,b\n1,2\n"), ("t2icompbench", "\n")]
)
def test_file_of_another_format_is_refused(tmp_path: Path, format: ForeignFormat, text: str) -> None:
    with pytest.raises(ValueError, match=r"color\.txt"):
        read_foreign(_file(tmp_path, text), format, 8)


def test_pictures_are_found_under_the_names_of_each_bench(tmp_path: Path) -> None:
    names = ("a cup_000000.png", "a cup_000001.png", "00001.png")
    for name in (*names, "00002/samples/0000.png", "00002/samples/0001.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    items = read_foreign(_file(tmp_path, "a cup\na plate\na tray\n"), "t2icompbench", 8)
    found = pictures_of(tmp_path, items, "t2icompbench")
    assert [[path.relative_to(tmp_path).as_posix() for path in found[item.key]] for item in items] == [
        ["a cup_000000.png", "a cup_000001.png"],
        ["00001.png"],
        ["00002/samples/0000.png", "00002/samples/0001.png"],
    ]
    with pytest.raises(ValueError, match=r"00000\.png"):
        pictures_of(tmp_path / "00002", items, "t2icompbench")


def test_a_name_with_a_number_is_of_the_prompt_that_has_it(tmp_path: Path) -> None:
    for name in ("stanford", "stanford_3"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    items = [Item(key=key, category="dpg", text=key, skills=()) for key in ("stanford", "stanford_3")]
    found = pictures_of(tmp_path, items, "dpg")
    assert {key: [path.stem for path in paths] for key, paths in found.items()} == {
        "stanford": ["stanford"],
        "stanford_3": ["stanford_3"],
    }


def test_child_of_an_unanswered_question_counts_nothing(tmp_path: Path) -> None:
    barn, _ = read_foreign(_file(tmp_path, DPG), "dpg", 8)
    judge = GivenAnswers(yes=("Is the barn red?",))
    assert isinstance(judge, VqaJudge)
    assert vqa_scores(judge, [Image.new("RGB", (4, 4))], barn.questions) == ((0.0, 0.0),)
    both = GivenAnswers(yes=("Is the barn red?", "Is there a barn?"))
    assert vqa_scores(both, [Image.new("RGB", (4, 4))] * 2, barn.questions) == ((1.0, 1.0),) * 2


def test_judge_that_answers_too_little_is_named(tmp_path: Path) -> None:
    barn, _ = read_foreign(_file(tmp_path, DPG), "dpg", 8)
    with pytest.raises(ValueError, match="given answers"):
        vqa_scores(GivenAnswers(yes=(), most=1), [Image.new("RGB", (4, 4))], barn.questions)


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("a green bench and a blue bowl", ["a green bench", "a blue bowl"]),
        ("A fluffy towel on the left of the metallic rack.", ["a fluffy towel", "the metallic rack"]),
        ("", []),
    ],
)
def test_noun_phrases_are_what_stands_between_function_words(text: str, phrases: list[str]) -> None:
    assert noun_phrases(text) == phrases
