"""The stages of a run, each a pure function of its fields, stored once (DESIGN §4).

    Captioned ─┐
    Vanilla ───┴─► Tuned ─► LoraImages ─► Trained ─► Personalized
    Vanilla ──────────────────────────► Trained

Up to `LoraImages` each sees one client's data only. Each has a module of its own, so that its
key depends on the code it runs and on no other.
"""
