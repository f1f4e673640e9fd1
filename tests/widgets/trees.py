"""A small network as the tree gets it."""

from __future__ import annotations

from modelight.widgets.tree_model import TreeRow, TreeState

_LAYERS = ("Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d")

ROWS = [
    TreeRow("", "net", -1, "Net", 14_274, reacts_below=3),
    TreeRow("features", "features", 0, "Sequential", 14_208, reacts_below=2, has_statistics=True),
    *(
        TreeRow(f"features.{at}", str(at), 1, type_, 64, reacts="Norm" in type_, reacts_below=int("Norm" in type_))
        for at, type_ in enumerate(_LAYERS)
    ),
    TreeRow("drop", "drop", 0, "Dropout", 0, reacts=True, reacts_below=1),
    TreeRow("head", "head", 0, "Linear", 66),
]


def state(row: TreeRow, training: bool | None) -> TreeState:
    if not row.reacts or training is None:
        return TreeState(training, "no effect", trainable=row.parameters)
    words = {("Dropout", True): "drops 50 %", ("Dropout", False): "passes through"}
    effect = words.get((row.type, training), "batch stats" if training else "running stats")
    return TreeState(training, effect, "train" if training else "eval", row.parameters)


def states(training: bool | None) -> list[TreeState]:
    return [state(row, training) for row in ROWS]


def index_of(path: str) -> int:
    return next(index for index, row in enumerate(ROWS) if row.path == path)
