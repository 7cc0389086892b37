"""The ceiling of every model of latents: what the autoencoder makes of the real panoramas.

A denoiser without fault would draw the latents of the real continuation, and nobody sees latents but through the
decoder. What a figure of this method lacks to the real one is therefore the autoencoder's loss, not the denoiser's.
"""

from typing import Any

import numpy as np

from eval.drawing import Drawing
from lit_outpaint.canvas.compositing import to_pixel_values, to_uint8
from lit_outpaint.canvas.geometry import new_box
from lit_outpaint.canvas.pasting import paste
from lit_outpaint.heldout.rollout import Rollout, changed_pixels
from lit_outpaint.heldout.walks import Pixels


def draw_real_latents(encoders: Any, drawing: Drawing) -> Rollout:
    """Widen panoramas by the real windows after encoding and decoding; captions and seeds change nothing.

    Args:
        encoders: the `FrozenEncoders` of a family.
        drawing: what to draw; of ``sampling`` the seam treatment is looked at.
    """
    geometry, sampling = drawing.geometry, drawing.sampling
    new = new_box(geometry.direction, geometry.stride_px, geometry.window_px)
    panoramas: list[Pixels] = []
    changed: list[list[int]] = []
    for number, (walk, real) in enumerate(zip(drawing.walks, drawing.real, strict=True), 1):
        num_steps = len(walk.local_captions)
        # Windows are looked at in the canvas itself: what a step has not reached yet is still real there.
        canvas = geometry.start(real, geometry.length(num_steps)).copy()
        changed.append([])
        for step in range(1, num_steps + 1):
            before = geometry.start(canvas, geometry.length(step - 1)).copy()
            window = geometry.window_at(canvas, step)
            truth = to_pixel_values(geometry.window_at(real, step)[None])
            decoded = to_uint8(encoders.decode(encoders.encode_mode(truth)))[0]
            window[...] = paste(decoded, window, new, sampling.seam, sampling.seam_reach_px)
            changed[-1].append(changed_pixels(before, canvas, geometry))
        panoramas.append(canvas)
        drawing.report(f"{number}/{len(drawing.walks)} panoramas of {num_steps} steps")
    return Rollout(panoramas, np.array(changed, dtype=np.int64))
