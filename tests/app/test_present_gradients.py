"""From the engine's gradients to the page, and from the engine's estimate to the panel."""

from __future__ import annotations

import numpy as np

from modelight.present.gradients import gradients_data
from modelight.present.reestimate import reestimate_data
from modelight.protocol import (
    Array,
    Autograd,
    Clause,
    GradientCut,
    Gradients,
    ModuleGradient,
    NormEstimate,
    Ratio,
    ReEstimated,
    Row,
)


def row(path: str, parent: int, type_: str = "Linear") -> Row:
    return Row(path, path.rpartition(".")[2], parent, type_, f"torch.nn.{type_}", 1, False, 0)


ROWS = [
    row("", -1, "Net"),
    row("body", 0, "Sequential"),
    row("body.0", 1),
    row("body.1", 1, "BatchNorm1d"),
    row("a", 0),
]


def found(**more: object) -> Gradients:
    values: dict[str, object] = {
        "seed": 0,
        "samples": 4,
        "train": 0,
        "eval": 5,
        "modules": [
            ModuleGradient(0, 4, 2, received=2, norm=5.0, calls=1, saved=10),
            ModuleGradient(1, 2, 0, calls=1),
            ModuleGradient(2, 2, 0, calls=1, saved=100),
            ModuleGradient(3, 0, 0, calls=1, saved=7, moves=3),
            ModuleGradient(4, 2, 2, received=2, norm=5.0, calls=1, grad_fn="AddmmBackward0", moves=2),
        ],
        "cuts": [],
        "parameters": 4,
        "trainable": 2,
        "received": 2,
        "zero": 0,
        "autograd": Autograd(117, 0, 0, 3),
        "scalar": Clause("scalar-cross-entropy", {"samples": 4, "field": ""}),
        "forward": Ratio(1.2, 1.1, 1.4, 15),
    }
    return Gradients(**{**values, **more})  # type: ignore[arg-type]


def test_bytes_add_up_through_the_tree_and_containers_are_no_leaves() -> None:
    data = gradients_data(found(), ROWS, "no_grad", "net")
    assert [one.kept for one in data.rows] == [117, 107, 100, 7, 0]
    assert [one.leaf for one in data.rows] == [False, False, True, True, True]
    assert data.rows[0].name == "net" and data.all_eval and data.scalar == "mean cross-entropy of 4 labels"


def test_buffers_that_move_count_where_the_parameters_around_are_frozen() -> None:
    data = gradients_data(found(), ROWS, "enabled")
    assert [one.moves for one in data.rows] == [0, 0, 0, 3, 0]  # body.1 has none of its own; a is not frozen


def test_cuts_name_few_parameters_and_the_rest_is_unexplained() -> None:
    names = [f"body.{index}.weight" for index in range(6)]
    cut = GradientCut("detach", "detach", "body", "/home/me/net.py:12", 1, names, 6)
    data = gradients_data(found(cuts=[cut], unreached=[*names, "spare.weight"], trainable=9), ROWS, "enabled")
    assert data.cuts[0].source == "net.py:12" and len(data.cuts[0].names) == 4 and data.cuts[0].count == 6
    assert data.unexplained == ("spare.weight",)
    cut = GradientCut("detach", "detach", "body", None, 1, names, 200)
    data = gradients_data(found(cuts=[cut], unreached=[*names, "spare.weight"], trainable=300), ROWS, "enabled")
    assert data.unexplained == () and data.cuts[0].source == ""  # not all names are known


def test_an_estimate_becomes_changes_with_their_reasons_in_words() -> None:
    def arrays(*values: float) -> Array:
        return Array.of(np.array(values))

    norms = [
        NormEstimate(1, "a", "BatchNorm1d", arrays(0, 0), arrays(1, 2), arrays(1, 1), arrays(4, 4), arrays(3, np.nan)),
        NormEstimate(
            2,
            "b",
            "Frozen",
            arrays(0),
            arrays(0),
            arrays(1),
            arrays(1),
            kept=Clause("keeps-statistics", {"type": "Frozen"}),
        ),
    ]
    event = ReEstimated(
        batch=4, passes=1, samples=8, batches=2, norms=norms, measure="softmax", before=arrays(0), after=arrays(1),
        moved=0.5, labelled=8, right_before=3, right_after=8, notes=[Clause("estimate-one-sample")],
    )  # fmt: skip
    data = reestimate_data(event, outdated=True)
    assert data.estimated == 1 and data.outdated and data.probabilities
    assert data.norms[0].largest_now == 3.0 and data.norms[0].largest_new is None
    assert "Frozen" in data.norms[1].kept and data.notes[0].startswith("Every batch is one sample")
