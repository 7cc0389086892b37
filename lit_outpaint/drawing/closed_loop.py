"""The closed loop of Recaption, Plan, Generate: draw, compare with the prompt, edit, keep what is better.

    picture <- draw(plan)
    for round in 1 .. rounds, until the judge agrees with the picture:
        try     <- edit the picture (add, remove, modify, move) or draw it again from other noise
        picture <- try if the judge likes it better, else picture

Every round costs as many U-Net calls as a drawing, so that the best of as many drawings as there were rounds and one is
a fair rival; it is drawn beside. The paper describes the loop and its code lacks it (Yang et al. 2024,
arXiv:2401.11708): what is edited, with what, and when it ends are choices of ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from numpy import ndarray

from lit_outpaint.drawing.edit_masks import edit_mask
from lit_outpaint.drawing.edit_operations import Box, Edit, edits_of
from lit_outpaint.drawing.inpainting import Repair, Repairer
from lit_outpaint.drawing.judging import Judgement, PictureJudge, Wish, judge
from lit_outpaint.drawing.loop_config import LoopConfig
from lit_outpaint.drawing.methods import Drawn
from lit_outpaint.drawing.rpg import RpgMethod, notes_of, region_prompts
from lit_outpaint.planning.regions import Region, RegionPlan

Action = Literal["draw", "edit", "redraw"]

CELL_PX = 8
"""Masks lie on latent cells."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """One try at a picture."""

    action: Action
    """draw: the first picture; edit: parts of the best one so far again; redraw: from other noise."""
    pixels: UInt8[ndarray, "h w 3"]
    """What came out."""
    judgement: Judgement
    """By the judge that steers."""
    edits: tuple[Edit, ...] = ()
    """What was edited."""
    kept: bool = True
    """Whether it was better than all before; else it was undone."""


@dataclass
class _Picture:
    """A picture on its way through the loop."""

    plan: RegionPlan
    wish: Wish
    seed: int
    rounds: list[Round] = field(default_factory=list)

    @property
    def best(self) -> Round:
        return next(one for one in reversed(self.rounds) if one.kept)

    def generator(self, number: int) -> torch.Generator:
        """Noise of a try; the first is that of the picture without a loop."""
        if number == 0:
            return torch.Generator().manual_seed(self.seed)
        digest = hashlib.sha256(f"{self.seed}/{number}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 11)


class ClosedLoopMethod:
    """Draws by plans and mends what a judge finds wrong (`lit_outpaint.drawing.methods.PromptMethod`).

    Args:
        method: plans and draws.
        repairer: edits; None always draws again.
        steering: the judge that says what is wrong and which picture is better.
        scoring: another judge, whose scores stand in the record; it decides nothing.
        config: how long, and what is edited.
    """

    def __init__(
        self,
        method: RpgMethod,
        repairer: Repairer | None,
        steering: PictureJudge,
        scoring: PictureJudge | None = None,
        config: LoopConfig = LoopConfig(),
    ) -> None:
        self.method, self.repairer, self.steering, self.scoring, self.config = (
            method,
            repairer,
            steering,
            scoring,
            config,
        )

    def draw(self, prompts: Sequence[str], generators: Sequence[torch.Generator]) -> Drawn:
        """Draw one picture per prompt; the notes of a picture tell its rounds, and `Drawn.others` shows them."""
        planned = self.method.plan(prompts)
        seeds = [generator.initial_seed() for generator in generators]
        pictures = [
            _Picture(each.plan, self.steering.wish(each.plan, self.method.placements(each.plan)), seed)
            for each, seed in zip(planned, seeds, strict=True)
        ]
        self._draw_again(pictures, 0)
        for number in range(1, self.config.rounds + 1):
            open_ones = [picture for picture in pictures if not picture.best.judgement.agrees]
            editable = [picture for picture in open_ones if self._repair_of(picture) is not None]
            self._edit(editable, number)
            self._draw_again([picture for picture in open_ones if picture not in editable], number)
        who = getattr(self.steering, "name", type(self.steering).__name__)
        notes = [
            notes_of(each) | {"judge": who, "rounds": [_told(one) for one in picture.rounds]}
            for each, picture in zip(planned, pictures, strict=True)
        ]
        others: list[dict[str, UInt8[ndarray, "h w 3"]]] = [
            {f"round{number}": one.pixels for number, one in enumerate(picture.rounds)} for picture in pictures
        ]
        final = [picture.best.pixels for picture in pictures]
        self._note_scores(pictures, [picture.rounds[0].pixels for picture in pictures], notes, "first_")
        self._note_scores(pictures, final, notes, "")
        if self.config.beside and self.config.rounds:
            rivals = self._best_of(pictures)
            for other, rival in zip(others, rivals, strict=True):
                other["best_of"] = rival
            self._note_scores(pictures, rivals, notes, "best_of_")
        return Drawn(np.stack(final), notes, others)

    def _draw_again(self, pictures: Sequence[_Picture], number: int) -> None:
        """One try from noise of its own for each picture."""
        if not pictures:
            return
        drawn = self.method.draw_plans([one.plan for one in pictures], [one.generator(number) for one in pictures])
        self._take(pictures, drawn.pixels, "redraw" if number else "draw", [() for _ in pictures])

    def _edit(self, pictures: Sequence[_Picture], number: int) -> None:
        """One try at editing the best of each picture."""
        if not pictures or self.repairer is None:
            return
        best = np.stack([picture.best.pixels for picture in pictures])
        repairs = [self._repair_of(picture) for picture in pictures]
        pixels = self.repairer.repair(
            best, [repair for repair in repairs if repair is not None], [one.generator(number) for one in pictures]
        )
        self._take(pictures, pixels, "edit", [self._fitting(picture)[0] for picture in pictures])

    def _take(
        self,
        pictures: Sequence[_Picture],
        pixels: UInt8[ndarray, "n h w 3"],
        action: Action,
        edits: Sequence[tuple[Edit, ...]],
    ) -> None:
        """Judge what came out and keep what is better than all before."""
        looks = self.steering.look(pixels)
        for picture, own, look, edited in zip(pictures, pixels, looks, edits, strict=True):
            judgement = judge(picture.wish, look, self.config.edits)
            kept = not picture.rounds or judgement.score > picture.best.judgement.score
            picture.rounds.append(Round(action=action, pixels=own, judgement=judgement, edits=edited, kept=kept))

    def _repair_of(self, picture: _Picture) -> Repair | None:
        """How the best try is edited; None where it has to be drawn again.

        What cannot be edited is scenery, and more than `LoopConfig.max_edited` of a picture at once. An edit that was
        undone is not tried twice in a row.
        """
        best, last = picture.best, picture.rounds[-1]
        if self.repairer is None or best.judgement.missing_scenery or best.judgement.fault:
            return None
        if last.action == "edit" and not last.kept:
            return None
        edits, cells = self._fitting(picture)
        if not edits:
            return None
        mask = np.kron(cells, np.ones((CELL_PX, CELL_PX), dtype=bool))
        return _repair(picture.plan, picture.wish, edits, mask, self.method)

    def _fitting(self, picture: _Picture) -> tuple[tuple[Edit, ...], Bool[ndarray, "h w"]]:
        """The edits of the best try that are made at once, and what they draw again, in latent cells.

        The first that fit into `LoopConfig.max_edited`; the others wait for a later round, and what they are of stays
        as it is.
        """
        best = picture.best
        height, width = (side // CELL_PX for side in best.pixels.shape[:2])
        findings, rules = best.judgement.findings, self.config.edits
        right = [finding.seen.box for finding in findings if finding.verdict == "right" and finding.seen is not None]
        chosen, waiting = list[Edit](), list[Box]()
        for edit, finding in zip(edits_of(findings), (one for one in findings if one.verdict != "right"), strict=True):
            own = edit_mask([edit], right, height, width, rules)
            if own.any() and edit_mask([*chosen, edit], right, height, width, rules).mean() <= self.config.max_edited:
                chosen.append(edit)
            elif finding.seen is not None:
                waiting.append(finding.seen.box)
        mask = edit_mask(chosen, [*right, *waiting], height, width, rules)
        return (tuple(chosen) if mask.any() else ()), mask

    def _best_of(self, pictures: Sequence[_Picture]) -> list[UInt8[ndarray, "h w 3"]]:
        """The best, by the judge that steers, of as many drawings as there were tries."""
        rivals = [_Picture(one.plan, one.wish, one.seed, one.rounds[:1]) for one in pictures]
        tries = {id(rival): len(one.rounds) for rival, one in zip(rivals, pictures, strict=True)}
        for number in range(1, self.config.rounds + 1):
            self._draw_again([rival for rival in rivals if tries[id(rival)] > number], number)
        return [rival.best.pixels for rival in rivals]

    def _note_scores(
        self,
        pictures: Sequence[_Picture],
        pixels: Sequence[UInt8[ndarray, "h w 3"]],
        notes: Sequence[dict[str, Any]],
        prefix: str,
    ) -> None:
        """Write down what the judge that scores says of pictures."""
        if self.scoring is None:
            return
        for picture, note, look in zip(pictures, notes, self.scoring.look(np.stack(pixels)), strict=True):
            judgement = judge(picture.wish, look, self.config.edits)
            note[f"{prefix}score"] = round(judgement.score, 4)
            note[f"{prefix}agrees"] = judgement.agrees


def _repair(
    plan: RegionPlan, wish: Wish, edits: Sequence[Edit], mask: Bool[ndarray, "h w"], method: RpgMethod
) -> Repair:
    """What is drawn under a mask: the regions that are edited; things that go are what guidance pushes away from.

    Away from no kind that is drawn under the same mask: guidance knows of no places.
    """
    edited = {edit.thing for edit in edits if edit.operation != "remove"}
    kinds = {wanted.kind for wanted in wish.things if wanted.id in edited}
    going = [edit for edit in edits if edit.operation == "remove" and edit.thing not in kinds]
    gone = [" ".join(["a", *([edit.colour] if edit.colour else []), edit.thing]) for edit in going]
    own: list[Region] = [region for region in plan.regions if region.id in edited]
    ground = next((region.place for region in plan.regions if region.place), plan.base_prompt)
    caption = " and ".join(region.prompt for region in own) or ground
    regions = RegionPlan(base_prompt=plan.base_prompt, regions=tuple(own))
    negative = ", ".join([*gone, *([method.negative_prompt] if method.negative_prompt else [])])
    return Repair(mask, caption, plan.base_prompt, negative, tuple(region_prompts(regions, method.regional)))


def _told(one: Round) -> dict[str, Any]:
    """What the record says of a round."""
    wrong = []
    for verdict, wanted, seen in one.judgement.findings:
        if verdict != "right":
            extra = "" if seen is None else f"{seen.colour or ''} {seen.kind}".strip()
            wrong.append({"verdict": verdict, "thing": extra if wanted is None else wanted.id})
    return {
        "action": one.action,
        "edits": [edit._asdict() for edit in one.edits],
        "score": round(one.judgement.score, 4),
        "wrong": wrong,
        "missing_scenery": list(one.judgement.missing_scenery),
        "kept": one.kept,
    } | ({"fault": one.judgement.fault} if one.judgement.fault else {})
