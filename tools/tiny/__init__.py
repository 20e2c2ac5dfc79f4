"""How the tiny foundation is made: Stable Diffusion, CLIP and BLIP trained on rendered type.

Nothing else in `regl_core` imports this package: what it makes is saved in the hub's folder
layout and loaded by `regl_core.foundation` like any other model.

type → words → vae, clip → captioner, unet → build
"""
