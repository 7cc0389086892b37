"""Where and when the things of a prompt are: "a barn in a meadow by day and a tent in a desert at night"."""

from __future__ import annotations

from collections.abc import Sequence

from lit_outpaint.planning.mentions import Mention
from lit_outpaint.planning.phrases import is_sky, whereabouts


class Surroundings:
    """Gives mentions their places and times.

    Args:
        mentions: all so far; what is mentioned later is added to this list.
    """

    def __init__(self, mentions: Sequence[Mention]) -> None:
        self.mentions = mentions
        self.sentence_from = 0
        self.setting = ("", "")
        self.unplaced: list[int] = []
        self.of_scenery = False
        self.time, self.timed_from = "", 0

    def begin_sentence(self) -> None:
        """Leave the things so far where they are."""
        self.sentence_from = len(self.mentions)

    def surround(self, number: int) -> None:
        """Put a new thing where the others are, until something else is said of it."""
        self.mentions[number].place, self.mentions[number].ground = self.setting
        if not self.of_scenery:
            self.unplaced.append(number)

    def go_to(self, scenery: str) -> None:
        """Let what follows be in a place: "a lake with a boat"."""
        self.setting, self.unplaced = (whereabouts(scenery), scenery), []
        self.of_scenery = True  # The boat stays there, whatever place comes next.

    def leave(self) -> None:
        """Let what follows be nowhere in particular."""
        self.setting = ("", "")

    def place(self, preposition: str, ground: str) -> None:
        """Say where things are: those since the last place, and those of this sentence that have none."""
        self.setting = (f"{preposition.lower()} {ground}".strip(), ground)
        self.of_scenery = False
        for number, mention in enumerate(self.mentions):
            open_still = number >= self.sentence_from and not mention.place
            if not mention.scenery and (open_still or number in self.unplaced):
                mention.place, mention.ground = self.setting
        self.unplaced = []

    def place_only(self, numbers: Sequence[int], preposition: str, ground: str) -> None:
        """Say where these things are; what comes before and after them is elsewhere."""
        for number in numbers:
            self.mentions[number].place = f"{preposition.lower()} {ground}"
            self.mentions[number].ground = ground
        self.unplaced = []

    def date(self, time: str) -> None:
        """Say the time of day of what was named since the last one, or else of what follows."""
        since = [one for one in self.mentions[self.timed_from :] if not (one.time or is_sky(one.phrase))]
        for mention in since:
            mention.time = time
        self.time, self.timed_from = "" if since else time, len(self.mentions)
