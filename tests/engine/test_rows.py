"""Rows: a row for every path, sums that count each tensor once, states that follow the model."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from modelight.engine.errors import EngineError
from modelight.engine.modules import modes
from modelight.engine.modules.rows import Rows
from modelight.protocol import Clause


@st.composite
def graphs(draw: Any) -> nn.Module:
    """Modules registered in several places, parameters shared between modules."""
    pool: list[nn.Module] = [nn.Linear(2, 3), nn.Dropout(), nn.BatchNorm1d(2), nn.ReLU()]
    tied = nn.Linear(2, 3)
    tied.weight = pool[0].weight
    pool.append(tied)
    for _ in range(draw(st.integers(0, 5))):
        pool.append(nn.Sequential(*draw(st.lists(st.sampled_from(pool), max_size=4))))
    return nn.Sequential(*draw(st.lists(st.sampled_from(pool), max_size=5)))


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_rows_and_sums_are_those_of_torch(model: nn.Module) -> None:
    rows = Rows(model)
    expected = list(model.named_modules(remove_duplicate=False))
    assert [(row.path, module) for row, module in zip(rows.rows, rows.modules, strict=True)] == expected
    states = rows.states()
    for row, state, module in zip(rows.rows, states, rows.modules, strict=True):
        assert row.parameters == sum(tensor.numel() for tensor in module.parameters())
        assert state.trainable == sum(tensor.numel() for tensor in module.parameters() if tensor.requires_grad)
        reacting = {id(part) for part in module.modules() if isinstance(part, (nn.Dropout, nn.BatchNorm1d))}
        assert row.sensitive_below == len(reacting)
        assert sorted([row.path, *row.also_at]) == sorted(path for path, other in expected if other is module)


@settings(max_examples=60, deadline=None)
@given(graphs(), st.data())
def test_subtrees_are_ranges_and_parents_come_first(model: nn.Module, data: Any) -> None:
    rows = Rows(model)
    index = data.draw(st.integers(0, len(rows.rows) - 1))
    path = rows.paths[index]
    below = [rows.paths[at] for at in rows.below(index)]
    assert below == [other for other in rows.paths if other == path or other.startswith(f"{path}." if path else "")]
    assert rows.rows[index].parent < index
    assert (
        rows.by_path(path) == index
        and rows.path_of(rows.modules[index]) == rows.paths[rows.places(rows.modules[index])[0]]
    )


def test_a_module_below_itself_ends() -> None:
    root = nn.Sequential(nn.Linear(2, 2))
    root[0].up = root
    rows = Rows(root)
    assert [row.path for row in rows.rows] == ["", "0", "0.up"]
    assert [row.parameters for row in rows.rows] == [6, 6, 6]
    assert Clause("holds-itself", {"path": ""}) in rows.rows[2].notes


def test_exponentially_many_paths_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from modelight.engine.modules import skeleton

    monkeypatch.setattr(skeleton, "MAX_ROWS", 1000)
    part: nn.Module = nn.Dropout()
    for _ in range(40):
        part = nn.Sequential(part, part)
    rows = Rows(part)
    assert len(rows.rows) <= 1000
    assert any(note.id == "rows-cut" for note in rows.rows[0].notes)


def test_unknown_paths_and_modules_are_named() -> None:
    rows = Rows(nn.Sequential(nn.ReLU()))
    with pytest.raises(EngineError, match=r"no module at '1\.2'") as caught:
        rows.by_path("1.2")
    assert caught.value.kind == "run"
    assert rows.index_of(nn.ReLU()) == -1
    with pytest.raises(EngineError, match="not in the module tree"):
        rows.path_of(nn.ReLU())


def test_lazy_and_empty_modules() -> None:
    rows = Rows(nn.Sequential(nn.LazyLinear(3), nn.Identity()))
    assert [row.parameters for row in rows.rows] == [0, 0, 0]
    assert rows.states()[1].own_parameters == 2


def test_changed_sees_values_flags_and_gradients() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    rows = Rows(model)
    before = rows.states()
    assert rows.changed(before) == []
    model(torch.randn(4, 2))
    assert [state.index for state in rows.changed(before)] == [1]
    model[1].weight.requires_grad_(False)
    assert [state.index for state in rows.changed(rows.known())] == [0, 2]
    with torch.no_grad():
        model[1].bias[0] = float("nan")
    (state,) = rows.changed(rows.known())
    assert state.marks == [Clause("has-nan", {"tensor": "bias", "count": 1})]


def test_what_a_run_has_shown_is_added_once() -> None:
    rows = Rows(nn.Sequential(nn.ReLU(), nn.Dropout()))
    rows.states()
    clause = Clause("drops-always", {"p": 0.5, "source": "model.py:3"})
    (state,) = rows.hear({"0": [clause]})
    assert state.index == 1 and state.effect[-1] == clause and state.other[-1] == clause
    assert rows.hear({"0": [clause]}) == []


def test_outdated_after_a_module_was_added() -> None:
    model = nn.Sequential(nn.ReLU())
    rows = Rows(model)
    assert not rows.outdated()
    model.add_module("late", nn.Dropout())
    assert rows.outdated()


def test_lazy_layers_count_once_they_have_their_shape() -> None:
    model = nn.Sequential(nn.LazyLinear(3))
    rows = Rows(model)
    assert rows.states()[0].trainable == 0
    model(torch.ones(1, 2))
    assert rows.states()[0].trainable == 9 and rows.outdated()
    assert not Rows(model).outdated()


def test_thousands_of_modules_do_not_keep_anyone_waiting() -> None:
    parts = [nn.Sequential(*(nn.Dropout() if at % 2 else nn.Identity() for at in range(100))) for _ in range(250)]
    model = nn.Sequential(*parts)
    start = time.process_time()
    rows = Rows(model)
    built = time.process_time()
    modes.change(rows, lambda: modes.set_training(rows, "5.1", False))
    first = time.process_time()
    modes.change(rows, lambda: modes.set_training(rows, "5.3", False))
    again = time.process_time()
    assert len(rows.rows) == 25_251
    # Processor time, ten times what it takes; a quadratic walk would take minutes.
    assert built - start < 4 and first - built < 4 and again - first < 0.5
