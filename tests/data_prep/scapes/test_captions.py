"""Captions are exact, differ in wording, and keep the global attributes to the one that names them."""

import re

import pytest

from data_prep.scapes.captions import OFF_SURFACE, annotate, dense, global_caption, local_caption
from data_prep.scapes.palette import TIMES
from data_prep.scapes.tokenizer import TEXT_LENGTH, build_tokenizer
from data_prep.scapes.windows import random_place
from data_prep.scapes.world import World

SKY, BURIED = OFF_SURFACE["sky"], OFF_SURFACE["underground"]
GLOBAL_WORDS = re.compile(r"dawn|sunrise|by day|daylight|dusk|sunset|night|clear sky|cloudy|mountains")


@pytest.mark.parametrize("index", range(0, 40))
def test_exactly_one_of_five_captions_names_the_global_attributes(index: int) -> None:
    place = random_place(index, seed=3, surface_share=1)
    captions = annotate(place.facts(), index)
    assert len(captions) == 5
    assert len(set(captions)) >= 4
    assert sum(bool(GLOBAL_WORDS.search(caption)) for caption in captions) == 1


def test_local_caption_names_every_object_with_its_colour() -> None:
    for index in range(50):
        facts = random_place(index, seed=4).facts()
        caption = local_caption(facts)
        for thing in facts.objects:
            assert thing.kind[:5] in caption
            assert thing.colour is None or thing.colour in caption


def test_global_caption_names_time_weather_and_places() -> None:
    for seed in range(24):
        world = World(seed)
        caption = global_caption(world.facts(0, 0, 640, 128))
        assert {"dawn": "at dawn", "day": "by day", "dusk": "at dusk", "night": "at night"}[world.time] in caption
        assert f"{world.weather} sky" in caption
        assert ("mountains" in caption) == world.mountains
    assert len(TIMES) == 4


def test_dense_captions_have_forty_to_a_hundred_and_forty_words() -> None:
    lengths = [len(dense(random_place(i, seed=6).facts(), i).split()) for i in range(400)]
    assert min(lengths) >= 40
    assert max(lengths) <= 140


def test_captions_fit_into_the_text_encoder() -> None:
    facts = [World(seed).facts(seed * 999, 0, 640, 128) for seed in range(60)]
    captions = [global_caption(f) for f in facts]
    tokenizer = build_tokenizer(captions)
    assert max(len(ids) for ids in tokenizer(captions).input_ids) <= TEXT_LENGTH


def test_the_tokenizer_reads_any_text_and_ends_with_its_highest_number() -> None:
    tokenizer = build_tokenizer(["a red barn in a meadow"] * 3)
    ids = tokenizer("Z\u00fcrich 2026!").input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True).replace(" ", "") == "z\u00fcrich2026!"
    assert ids[-1] == tokenizer.eos_token_id == len(tokenizer) - 1


@pytest.mark.parametrize(("top", "place", "kinds"), [(-512, "the open sky", SKY), (0, "the rock underground", BURIED)])
def test_global_captions_of_high_stretches_speak_of_what_floats_above_or_lies_below(
    top: int, place: str, kinds: tuple[str, ...]
) -> None:
    named = 0
    for seed in range(30):
        facts = World(2 * seed).facts(64 * seed, top, 128, 640)
        off_surface = {thing.kind for thing in facts.objects if thing.kind in kinds}
        caption = global_caption(facts)
        assert (place in caption) == bool(off_surface)
        assert any(kind in caption for kind in kinds) == bool(off_surface)
        assert any(biome in caption for biome in facts.biomes)
        named += bool(off_surface)
    assert named > 20


def test_global_captions_of_wide_stretches_speak_of_the_surface_alone() -> None:
    for seed in range(30):
        caption = global_caption(World(2 * seed).facts(64 * seed, 0, 640, 128))
        assert "the open sky" not in caption
        assert "underground" not in caption
