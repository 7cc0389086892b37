"""What a prompt claims about where things stand: along which axes each region of a plan is bound.

A plan gives every thing a box. What a picture can be held to is less: a prompt that says "at the top" says nothing of
left and right, and the order in which things are named says nothing at all.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

from lit_outpaint.planning.inflection import singular_word
from lit_outpaint.planning.mentions import Mention, Mentions
from lit_outpaint.planning.phrases import head
from lit_outpaint.planning.reading import read_mentions
from lit_outpaint.planning.regions import Region, RegionPlan

Axis = Literal["across", "down"]
"""From left to right, or from top to bottom."""
Placement = frozenset[Axis]
"""The axes along which a thing has to stand in its box."""

FREE: Final[Placement] = frozenset()
BOUND: Final[Placement] = frozenset({"across", "down"})

_OF_RELATIONS: Final[dict[str, Axis]] = {
    "left": "across",
    "right": "across",
    "between": "across",
    "above": "down",
    "below": "down",
}


def placements(plan: RegionPlan, own: Collection[str] = ()) -> dict[str, Placement]:
    """The axes along which each region is bound, by its id.

    Args:
        plan: whose base prompt makes the claims.
        own: ids of the regions that a person drew, which are bound along both.
    """
    read = read_mentions(plan.base_prompt)
    claims = [_claimed(read, number) for number in range(len(read.all))]
    return {region.id: BOUND if region.id in own else _of_region(region, read, claims) for region in plan.regions}


def _claimed(read: Mentions, number: int) -> Placement:
    """What a prompt says of one of its mentions."""
    mention, axes = read.all[number], set[Axis]()
    if mention.lane:
        axes.add("across")
    if mention.band:
        axes.add("down")
    for relation in read.relations:
        if relation.kind in _OF_RELATIONS and number in (relation.subject, *relation.objects):
            axes.add(_OF_RELATIONS[relation.kind])
    return frozenset(axes)


def _of_region(region: Region, read: Mentions, claims: list[Placement]) -> Placement:
    """What is said of the mentions that a region may be of: of all of them, for none else is certain."""
    phrase = region.thing or region.prompt
    noun, words = singular_word(head(phrase)), set(map(singular_word, phrase.lower().split()))
    of_noun = [number for number, mention in enumerate(read.all) if singular_word(head(mention.phrase)) == noun]
    of_words = [number for number in of_noun if _words(read.all[number]) <= words]
    meant = [claims[number] for number in of_words or of_noun]
    return frozenset.intersection(*meant) if meant else FREE


def _words(mention: Mention) -> set[str]:
    return set(map(singular_word, mention.rest.lower().split()))
