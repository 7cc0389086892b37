"""Evaluation: what the models draw, scored next to what is real.

``functional`` holds the mathematics as pure functions; ``judge`` and ``clip`` read pictures with networks; ``rollout``
widens held-out panoramas; ``run`` and ``family`` put them together behind ``python -m eval``.
"""
