"""Phrases: effects. See ``modelight.phrases`` for the format.

What a layer does in one mode. ``SHORT`` has the words for the tree's *effect* column, about twenty letters wide, where
those of ``PHRASES`` are too many; the whole stands in the row's tooltip and at the foot of the tree.
"""

from __future__ import annotations

from modelight.phrases import QT_TRANSLATE_NOOP

PHRASES: dict[str, str] = {
    # Any layer
    "no-effect": QT_TRANSLATE_NOOP("phrases", "no effect"),
    "no-effect-known": QT_TRANSLATE_NOOP("phrases", "no effect known"),
    "not-known": QT_TRANSLATE_NOOP("phrases", "not known"),
    "no-flag": QT_TRANSLATE_NOOP("phrases", "has no mode (frozen script)"),
    "layers-react": QT_TRANSLATE_NOOP("phrases", "{count:count} layers react"),
    "layer-reacts": QT_TRANSLATE_NOOP("phrases", "1 layer reacts"),
    "reads-flag": QT_TRANSLATE_NOOP("phrases", "reads its training flag at {source:place}"),
    "script-reads-flag": QT_TRANSLATE_NOOP("phrases", "its script reads the training flag"),
    "flag-only": QT_TRANSLATE_NOOP("phrases", "flag only: its own train() does more at {source:place}"),
    "passes-through": QT_TRANSLATE_NOOP("phrases", "passes through"),
    # Dropouts
    "drops": QT_TRANSLATE_NOOP("phrases", "drops {p:percent}"),
    "drops-channels": QT_TRANSLATE_NOOP("phrases", "drops {p:percent} of channels"),
    "alpha-drops": QT_TRANSLATE_NOOP("phrases", "sets {p:percent} to a negative constant"),
    "alpha-drops-channels": QT_TRANSLATE_NOOP("phrases", "sets {p:percent} of channels to a negative constant"),
    "drops-samples": QT_TRANSLATE_NOOP("phrases", "skips {p:percent} of samples"),
    "drops-batches": QT_TRANSLATE_NOOP("phrases", "skips {p:percent} of batches"),
    "drops-between-layers": QT_TRANSLATE_NOOP("phrases", "drops {p:percent} between layers"),
    "drops-attention": QT_TRANSLATE_NOOP("phrases", "drops {p:percent} of attention weights"),
    "drops-always": QT_TRANSLATE_NOOP("phrases", "drops {p:percent} in both modes at {source:place}"),
    "drops-nothing": QT_TRANSLATE_NOOP("phrases", "drops nothing, p = 0"),
    # Normalisation
    "batch-stats": QT_TRANSLATE_NOOP("phrases", "batch stats"),
    "batch-stats-updates": QT_TRANSLATE_NOOP("phrases", "batch stats · updates"),
    "batch-stats-cumulative": QT_TRANSLATE_NOOP("phrases", "batch stats · cumulative average"),
    "batch-stats-still": QT_TRANSLATE_NOOP("phrases", "batch stats · never moves"),
    "batch-stats-counts": QT_TRANSLATE_NOOP("phrases", "batch stats · only counts"),
    "instance-stats": QT_TRANSLATE_NOOP("phrases", "instance stats"),
    "instance-stats-updates": QT_TRANSLATE_NOOP("phrases", "instance stats · updates"),
    "instance-stats-still": QT_TRANSLATE_NOOP("phrases", "instance stats · never moves"),
    "running-stats": QT_TRANSLATE_NOOP("phrases", "running stats"),
    "fixed-stats": QT_TRANSLATE_NOOP("phrases", "fixed stats"),
    "norm-reads-flag": QT_TRANSLATE_NOOP("phrases", "running stats; reads its training flag at {source:place}"),
    "raises-without": QT_TRANSLATE_NOOP("phrases", "raises: {buffer} is missing"),
    # Others
    "random-slope": QT_TRANSLATE_NOOP("phrases", "random slope, {lower:figure} to {upper:figure}"),
    "fixed-slope": QT_TRANSLATE_NOOP("phrases", "fixed slope {slope:figure}"),
    "power-iteration": QT_TRANSLATE_NOOP("phrases", "power iteration moves"),
    "power-iteration-rests": QT_TRANSLATE_NOOP("phrases", "power iteration rests"),
    "fused-path": QT_TRANSLATE_NOOP("phrases", "fused path without gradients"),
    "fused-path-skips": QT_TRANSLATE_NOOP("phrases", "fused path without gradients skips its children"),
    "observes": QT_TRANSLATE_NOOP("phrases", "observes in both modes"),
    "quantizes": QT_TRANSLATE_NOOP("phrases", "rounds in both modes"),
    "observes-quantizes": QT_TRANSLATE_NOOP("phrases", "observes and rounds in both modes"),
}

SHORT: dict[str, str] = {
    "no-flag": QT_TRANSLATE_NOOP("phrases", "has no mode"),
    "reads-flag": QT_TRANSLATE_NOOP("phrases", "reads its flag"),
    "script-reads-flag": QT_TRANSLATE_NOOP("phrases", "reads its flag"),
    "flag-only": QT_TRANSLATE_NOOP("phrases", "flag only"),
    # Dropouts
    "drops-channels": QT_TRANSLATE_NOOP("phrases", "drops {p:percent} · channels"),
    "alpha-drops": QT_TRANSLATE_NOOP("phrases", "drops {p:percent} · alpha"),
    "alpha-drops-channels": QT_TRANSLATE_NOOP("phrases", "alpha {p:percent} · channels"),
    "drops-samples": QT_TRANSLATE_NOOP("phrases", "skips {p:percent} · samples"),
    "drops-batches": QT_TRANSLATE_NOOP("phrases", "skips {p:percent} · batches"),
    "drops-between-layers": QT_TRANSLATE_NOOP("phrases", "drops {p:percent} between"),
    "drops-attention": QT_TRANSLATE_NOOP("phrases", "drops {p:percent} · attention"),
    "drops-always": QT_TRANSLATE_NOOP("phrases", "drops {p:percent} · always"),
    "drops-always-many": QT_TRANSLATE_NOOP("phrases", "{count:count} dropouts · always"),
    "drops-nothing": QT_TRANSLATE_NOOP("phrases", "drops nothing"),
    # Normalisation
    "batch-stats-cumulative": QT_TRANSLATE_NOOP("phrases", "batch stats · averages"),
    "batch-stats-still": QT_TRANSLATE_NOOP("phrases", "batch stats · still"),
    "batch-stats-counts": QT_TRANSLATE_NOOP("phrases", "batch stats · counts"),
    "instance-stats-updates": QT_TRANSLATE_NOOP("phrases", "instance · updates"),
    "instance-stats-still": QT_TRANSLATE_NOOP("phrases", "instance · still"),
    "norm-reads-flag": QT_TRANSLATE_NOOP("phrases", "running · reads flag"),
    "raises-without": QT_TRANSLATE_NOOP("phrases", "raises"),
    # Others
    "random-slope": QT_TRANSLATE_NOOP("phrases", "random slope"),
    "power-iteration": QT_TRANSLATE_NOOP("phrases", "power iteration"),
    "power-iteration-rests": QT_TRANSLATE_NOOP("phrases", "iteration rests"),
    "fused-path": QT_TRANSLATE_NOOP("phrases", "fused path"),
    "fused-path-skips": QT_TRANSLATE_NOOP("phrases", "fused path · skips"),
    "observes": QT_TRANSLATE_NOOP("phrases", "observes"),
    "quantizes": QT_TRANSLATE_NOOP("phrases", "rounds"),
    "observes-quantizes": QT_TRANSLATE_NOOP("phrases", "observes · rounds"),
}
