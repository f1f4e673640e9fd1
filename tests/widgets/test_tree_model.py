"""The model behind the module tree, and its filter."""

from __future__ import annotations

import time

import pytest
from PySide6.QtCore import QModelIndex, Qt
from pytestqt.modeltest import ModelTester

from modelight.widgets.tree_filter import TreeFilter
from modelight.widgets.tree_model import NODE, Column, TreeModel, TreeRow, TreeState

from .trees import ROWS, index_of, state, states


@pytest.fixture
def model() -> TreeModel:
    model = TreeModel()
    model.set_rows(ROWS, states(True))
    return model


@pytest.fixture
def filtered(model: TreeModel) -> TreeFilter:
    proxy = TreeFilter()
    proxy.setSourceModel(model)
    return proxy


def shown(proxy: TreeFilter, parent: QModelIndex | None = None) -> list[str]:
    parent = parent or QModelIndex()
    found: list[str] = []
    for row in range(proxy.rowCount(parent)):
        index = proxy.index(row, 0, parent)
        found += [index.data(NODE).row.path, *shown(proxy, index)]
    return found


def test_the_model_keeps_qts_contract_before_and_after_changes(model: TreeModel, qtmodeltester: ModelTester) -> None:
    qtmodeltester.check(model)
    model.store_states({index_of("drop"): state(ROWS[index_of("drop")], False)})
    model.announce([model.index_of("drop")])
    model.store_pending("features", True)
    qtmodeltester.check(model)
    model.set_rows(ROWS[:2], states(False)[:2])
    qtmodeltester.check(model)
    model.set_rows([], [])
    qtmodeltester.check(model)


def test_the_filter_keeps_qts_contract(filtered: TreeFilter, model: TreeModel, qtmodeltester: ModelTester) -> None:
    qtmodeltester.check(filtered)
    filtered.set_text("norm")
    qtmodeltester.check(filtered)
    model.set_rows(ROWS[:3], states(True)[:3])
    qtmodeltester.check(filtered)


def test_texts_of_a_row(model: TreeModel) -> None:
    texts = [model.index_of("features", column).data() for column in Column]
    assert texts == ["features", "train", "no effect", "14\u202f208", "yes", ""]
    assert model.index_of("drop", Column.PARAMETERS).data() == "–"


def test_a_lamp_says_what_the_subtree_comes_to(model: TreeModel) -> None:
    def lamp(path: str) -> str:
        node = model.node_of(path)
        assert node is not None
        return node.lamp

    assert lamp("") == "train"
    at = index_of("features.1")
    model.store_states({at: state(ROWS[at], False)})
    assert [lamp(path) for path in ("", "features", "features.1", "features.0", "drop")] == [
        "mixed",
        "mixed",
        "eval",
        "train",
        "train",
    ]
    model.store_states(dict(enumerate(states(False))))
    assert lamp("") == lamp("features") == "eval"
    model.store_states(dict(enumerate(states(None))))
    assert lamp("") == "none"


def test_a_module_whose_own_flag_differs_from_its_children_is_mixed(model: TreeModel) -> None:
    model.store_states({0: TreeState(False)})
    node = model.node_of("")
    assert node is not None and node.lamp == "mixed"


def test_what_a_run_has_shown_makes_a_quiet_lamp_loud(model: TreeModel) -> None:
    at = index_of("head")
    node = model.node_of("head")
    assert node is not None and node.quiet
    model.store_states({at: TreeState(False, "drops 20 % in both modes", "attention")})
    assert not node.quiet


def test_pending_ends_with_the_next_states(model: TreeModel) -> None:
    model.store_pending("features", True)
    assert next(node.row.path for node in model.nodes() if node.pending) == "features"
    assert sum(node.pending for node in model.nodes()) == 6
    model.store_states({})
    assert not any(node.pending for node in model.nodes())


def test_pending_alone_leaves_the_children_out(model: TreeModel) -> None:
    model.store_pending("features", False)
    assert [node.row.path for node in model.nodes() if node.pending] == ["features"]


def test_the_tooltip_holds_what_is_wrong_and_where_else_it_is(model: TreeModel) -> None:
    row = TreeRow("a", "a", -1, "BatchNorm2d", notes="A note.", also_at=("b.c",))
    model.set_rows([row], [TreeState(True, "batch stats", problem="running_var holds 2 NaN")])
    tip = model.index_of("a").data(Qt.ItemDataRole.ToolTipRole)
    for part in ("a · BatchNorm2d", "batch stats", "running_var holds 2 NaN", "A note.", "b.c"):
        assert part in tip


def test_filtering_keeps_the_way_up(filtered: TreeFilter) -> None:
    filtered.set_text("norm2d")
    assert shown(filtered) == ["", "features", "features.1", "features.4"]
    assert filtered.matches() == 2


def test_words_match_in_any_order_and_case(filtered: TreeFilter) -> None:
    filtered.set_text("CONV features.3")
    assert shown(filtered) == ["", "features", "features.3"]


def test_only_layers_that_react(filtered: TreeFilter) -> None:
    filtered.set_only_reacting(True)
    assert shown(filtered) == ["", "features", "features.1", "features.4", "drop"]
    filtered.set_text("drop")
    assert shown(filtered) == ["", "drop"]
    filtered.set_text("nothing like it")
    assert shown(filtered) == []


def test_other_rows_of_the_same_number_are_decided_anew(filtered: TreeFilter, model: TreeModel) -> None:
    rows = [TreeRow("", "net", -1, "Net"), TreeRow("a", "a", 0, "Linear"), TreeRow("b", "b", 0, "Dropout")]
    model.set_rows(rows, [TreeState(True)] * 3)
    filtered.set_text("linear")
    assert shown(filtered) == ["", "a"]
    swapped = [rows[0], TreeRow("a", "a", 0, "Dropout"), TreeRow("b", "b", 0, "Linear")]
    model.set_rows(swapped, [TreeState(True)] * 3)
    assert shown(filtered) == ["", "b"]


def test_a_hundred_thousand_rows(filtered: TreeFilter, model: TreeModel) -> None:
    rows = [TreeRow("", "net", -1, "Net")]
    for block in range(1_000):
        rows.append(TreeRow(f"b{block}", f"b{block}", 0, "Block"))
        parent = len(rows) - 1
        rows += [TreeRow(f"b{block}.{at}", str(at), parent, "Linear") for at in range(99)]
    began = time.perf_counter()
    model.set_rows(rows, [TreeState(True)] * len(rows))
    built = time.perf_counter() - began
    began = time.perf_counter()
    model.store_states({index: TreeState(False) for index in range(len(rows))})
    stored = time.perf_counter() - began
    began = time.perf_counter()
    filtered.set_text("b77.5")
    found = time.perf_counter() - began
    root = model.node_of("")
    assert root is not None and root.lamp == "eval"
    # Ten times what was measured on two slow cores: a guard against a quadratic, not a benchmark.
    assert (built < 3, stored < 2, found < 3) == (True, True, True), (built, stored, found)
