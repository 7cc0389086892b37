"""Data preparation: sources, captions, features and shards.

``python -m data_prep all --source scapes --out DIR`` runs the stages in order; each can be run alone and continues
where it stopped:

1. a source writes windows with annotated captions: ``scapes`` computes them, with an evaluation set; ``coco`` cuts them
   from the images of MS-COCO;
2. ``caption`` imagines the surroundings from captions alone and sums everything up in a global caption;
3. ``encode`` computes the features of the frozen encoders;
4. ``pack`` writes shards, index and card, in the layout of ``lit_outpaint.data.schema``.

``verify DIR`` reads every byte of a set and recomputes its card.
"""
