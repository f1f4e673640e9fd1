"""Small models that each show one thing. Each file offers ``build()``, ``CHECKPOINT`` and ``example_input()``.

Some also offer ``example_labels()``, ``example_captions()`` and ``CLASSES``. This file imports none of them, so that a
window without torch can list them.
"""

from __future__ import annotations

SAMPLES: tuple[tuple[str, str, str], ...] = (
    ("digits_cnn", "The incident", "Without eval() every picture scores the same, noise too."),
    (
        "text_transformer",
        "A transformer with dropout",
        "The same sentence twice, two answers; and a fused path in eval.",
    ),
    ("tagger_lstm", "Dropout between LSTM layers", "A dropout that is no module of its own still follows the flag."),
    (
        "norm_zoo",
        "Normalisation in every configuration",
        "What a norm layer uses and what it updates are two questions.",
    ),
    ("mixed_frozen", "Fine-tuning gone wrong", "requires_grad=False does not freeze running statistics."),
    (
        "hidden_dropout",
        "Randomness that eval() misses",
        "Dropout called as a function, or in a plain list, never hears of eval().",
    ),
    ("drop_path_net", "Stochastic depth", "Random in eval, because the flag that counts is an argument of its own."),
    ("troublemaker", "Prints, crashes, hangs or exits", "Whatever the model does, the window stays."),
)
"""(module in this package, title, the lesson in a sentence)"""
