"""The stages of a run, each a pure function of its fields, stored once.

    Captioned ─┐
    Vanilla ───┴─► Tuned ─► LoraImages ─► Trained ─► Personalized
    Vanilla ──────────────────────────► Trained

Up to `LoraImages` each sees one client's data only. Each has a module of its own, so that its
key depends on the code it runs and on no other. Beside them stand those that figures look at:
`Updated` (a further local update), `Embedded` and `Distance` (images as features, `distances`).
"""

from .captioned import Captioned
from .embedded import Distance, Embedded, EmbeddedReal, EmbeddedTest
from .inputs import Models, Size, Source, Tick
from .lora_images import LoraImages
from .personalized import Personalized
from .trained import Trained, final, network, plain
from .tuned import Tuned
from .updated import Updated, once_more
from .vanilla_images import Vanilla, load_images, save_images

__all__ = [
    "Captioned",
    "Distance",
    "Embedded",
    "EmbeddedReal",
    "EmbeddedTest",
    "LoraImages",
    "Models",
    "Personalized",
    "Size",
    "Source",
    "Tick",
    "Trained",
    "Tuned",
    "Updated",
    "Vanilla",
    "final",
    "load_images",
    "network",
    "once_more",
    "plain",
    "save_images",
]
