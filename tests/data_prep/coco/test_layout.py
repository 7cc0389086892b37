import json

import pytest

from data_prep.coco.layout import UNKNOWN_LICENCE, parse_captions


def captions_file(**tables: object) -> bytes:
    rows = {
        "licenses": [{"id": 3, "name": "By", "url": "http://l/3"}],
        "images": [{"id": 7, "file_name": "a.jpg", "license": 3}, {"id": 2, "file_name": "b.jpg"}],
        "annotations": [
            {"id": 1, "image_id": 7, "caption": "A  red\nbus. "},
            {"id": 2, "image_id": 2, "caption": "Two dogs."},
            {"id": 3, "image_id": 7, "caption": "A bus."},
        ],
    }
    return json.dumps(rows | tables).encode()


def test_images_come_by_number_with_all_their_captions_and_their_licence() -> None:
    images, counts, _ = parse_captions(captions_file(), "captions.json")
    assert [(image.id, image.captions) for image in images] == [(2, ("Two dogs.",)), (7, ("A red bus.", "A bus."))]
    assert [image.licence for image in images] == [UNKNOWN_LICENCE, "By (http://l/3)"]
    assert counts == {"noted.unknown_licence": 1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "download it again"),
        (b"<html>", "download it again"),
        (b"[" * 100_000, "download it again"),
        (b"[]", "COCO format"),
        (b"{}", "lacks 'images'"),
        (captions_file(images={"id": 1}), "must be lists"),
    ],
)
def test_what_is_no_captions_file_is_refused_in_one_line(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        parse_captions(data, "captions_x.json")
    assert "captions_x.json" in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize(
    "row",
    [
        None,
        3,
        [],
        {},
        {"id": "7"},
        {"id": "seven", "file_name": "a"},
        {"id": "9" * 13, "file_name": "a"},
        {"id": True, "file_name": "a"},
        {"id": -1, "file_name": "a"},
        {"id": 1.5},
    ],
)
def test_rows_that_do_not_fit_are_counted_and_cost_no_other_row(row: object) -> None:
    plain = json.loads(captions_file())
    data = captions_file(images=[row, *plain["images"]], annotations=[row, *plain["annotations"]], licenses=[row])
    images, counts, _ = parse_captions(data, "captions.json")
    assert [image.id for image in images] == [2, 7]
    assert counts == {"left_out.malformed_entry": 1, "noted.malformed_caption": 1, "noted.unknown_licence": 2}


@pytest.mark.parametrize("licenses", [None, {}, "none"])
def test_a_set_without_a_list_of_licences_is_used(licenses: object) -> None:
    images, counts, _ = parse_captions(captions_file(licenses=licenses), "captions.json")
    assert [image.licence for image in images] == [UNKNOWN_LICENCE] * 2
    assert counts == {"noted.unknown_licence": 2}


def test_ids_may_be_texts_or_whole_floats_and_captions_may_be_numbered_by_image() -> None:
    images, counts, _ = parse_captions(
        captions_file(
            licenses=[{"id": "3", "name": "By"}],
            images=[{"id": "0007", "file_name": "a.jpg", "license": 3}, {"id": 2.0, "file_name": "b.jpg"}],
            annotations=[
                {"id": "1", "image_id": 7, "caption": "A bus."},
                {"id": 1, "image_id": "2", "caption": "Two dogs."},
                {"id": 1.0, "image_id": 7.0, "caption": "The same once more."},
            ],
        ),
        "captions.json",
    )
    assert [(image.id, image.captions, image.licence) for image in images] == [
        (2, ("Two dogs.",), UNKNOWN_LICENCE),
        (7, ("A bus.",), "By"),
    ]
    assert counts == {"noted.duplicate_caption": 1, "noted.unknown_licence": 1}
