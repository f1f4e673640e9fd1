"""From the engine's rows and states to tree rows, the selection's lines and the cards of findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelight import protocol as p
from modelight.phrases import findings
from modelight.present.findings import find_remedy, finding_rows, solved_row
from modelight.present.selection import Selected, Subtree, selection, subtree
from modelight.present.tree import tree_rows, tree_shapes, tree_states
from modelight.protocol import Clause, Row, RowState

ROWS = [
    Row("", "", -1, "Net", "net.Net", 14_274, False, 2),
    Row("norm", "norm", 0, "BatchNorm2d", "torch.BatchNorm2d", 32, True, 1, kind="batch_norm"),
    Row("drop", "drop", 0, "Dropout", "torch.Dropout", 0, True, 1, kind="dropout", also_at=["again"]),
    Row("own", "own", 0, "Lora", "net.Lora", 8, False, 0, notes=[Clause("overrides-train", {"source": "net.py:3"})]),
]


def state(index: int, training: bool | None, effect: list[Clause] | None = None, **more: object) -> RowState:
    return RowState(index, training, effect or [Clause("no-effect")], [Clause("no-effect")], **{"trainable": 0, **more})  # type: ignore[arg-type]


def frame(**changes: object) -> p.Frame:
    fields: dict[str, object] = {
        "grad_mode": "no_grad",
        "seed": 0,
        "repeats": 1,
        "batch": 8,
        "force": None,
        "samples": 12,
        "forwards": 2,
        "train": 3,
        "eval": 0,
        "milliseconds": 1.0,
        "outputs": [],
        "modules": [],
        "dropouts": [],
        "norms": [],
        "ledger": p.Ledger(False, 0, 3),
        "autograd": p.Autograd(0, 0, 0, 0),
        "random": True,
    }
    return p.Frame(**{**fields, **changes})  # type: ignore[arg-type]


def norm(**changes: object) -> p.NormCapture:
    fields: dict[str, object] = {
        "row": 1,
        "path": "norm",
        "type": "BatchNorm2d",
        "channels": 16,
        "uses": "batch",
        "updates": True,
        "momentum": 0.1,
        "eps": 1e-5,
        "tracked": 336,
        "batch_count": 64,
    }
    return p.NormCapture(**{**fields, **changes})  # type: ignore[arg-type]


def dropout(**changes: object) -> p.DropoutCapture:
    fields: dict[str, object] = {
        "row": 2,
        "path": "drop",
        "source": None,
        "function": "Dropout",
        "call": 0,
        "unit": "element",
        "p": 0.5,
        "follows_flag": True,
        "active": True,
        "observed": 0.496,
        "dropped": 254,
        "total": 512,
        "already_zero": 100,
        "inputs": 512,
    }
    return p.DropoutCapture(**{**fields, **changes})  # type: ignore[arg-type]


def lines(index: int, now: p.Frame | None, training: bool | None = True, **more: object) -> dict[str, str]:
    shown = selection(Selected(ROWS[index], state(index, training, **more), "net", "no_grad", "train", now))  # type: ignore[arg-type]
    return {line.name: line.value for line in shown.lines}


def test_rows_keep_their_places_and_the_root_takes_the_models_name() -> None:
    root, first, shared, own = tree_rows(ROWS, "net")
    assert (root.name, root.parent, root.reacts_below) == ("net", -1, 2)
    assert (first.path, first.type, first.parameters, first.reacts) == ("norm", "BatchNorm2d", 32, True)
    assert (root.has_statistics, first.has_statistics, shared.has_statistics) == (True, True, False)
    assert shared.also_at == ("again",)
    assert own.own_train and "net.py:3" in own.notes and not first.own_train


@pytest.mark.parametrize(
    ("index", "training", "effect", "tone"),
    [
        (3, True, "no-effect", "none"),
        (3, False, "reads-flag", "eval"),
        (1, True, "batch-stats-updates", "train"),
        (1, False, "running-stats", "eval"),
        (1, None, "no-flag", "none"),
        (0, True, "layers-react", "none"),
        (0, False, "drops-always", "attention"),
        (0, True, "drops-always", "train"),
    ],
)
def test_the_tone_is_that_of_the_mode_unless_the_effect_defies_the_flag(
    index: int, training: bool | None, effect: str, tone: str
) -> None:
    clause = Clause(effect, {"p": 0.1, "source": "net.py:9", "count": 2})
    differs = effect in ("batch-stats-updates", "running-stats")
    now = RowState(index, training, [clause], [Clause("no-effect")] if differs else [clause], 0)
    assert tree_states([now], ROWS)[index].tone == tone


def test_what_is_known_displaces_what_is_not() -> None:
    always = Clause("drops-always", {"p": 0.2, "source": "net.py:7"})
    shown = tree_states([state(1, True, [Clause("no-effect-known"), always])], ROWS)[1]
    assert shown.effect == "drops 20\u00a0% · always"
    assert shown.whole_effect == "drops 20\u00a0% in both modes at net.py:7"
    shown = tree_states([state(0, True, [Clause("layers-react", {"count": 2}), always])], ROWS)[0]
    assert (shown.effect, shown.whole_effect.split(" · ")[1]) == ("drops 20\u00a0% · always", "2 layers react")
    assert tree_states([state(1, True, [Clause("no-effect-known")])], ROWS)[1].effect == "no effect known"


def test_what_no_flag_switches_off_comes_first_where_words_are_cut() -> None:
    reads = Clause("reads-flag", {"source": "net.py:3"})
    always = [Clause("drops-always", {"p": p, "source": f"net.py:{line}"}) for p, line in ((0.2, 7), (0.1, 9))]
    shown = tree_states([state(0, False, [reads, always[0]])], ROWS)[0]
    assert shown.effect == "drops 20\u00a0% · always · reads its flag"
    shown = tree_states([state(0, False, [reads, *always])], ROWS)[0]
    assert (shown.effect, shown.tone) == ("2 dropouts · always · reads its flag", "attention")
    assert shown.whole_effect.startswith("drops 20\u00a0% in both modes at net.py:7 · drops 10\u00a0% in both modes at")


def test_a_module_that_calls_a_dropout_says_where() -> None:
    now = state(3, False, [Clause("drops-always", {"p": 0.5, "source": "net.py:9"})])
    drops = dropout(row=3, path="own", function="F.dropout", source="net.py:9")
    shown = selection(Selected(ROWS[3], now, "net", "no_grad", "eval", frame(dropouts=[drops])))
    values = {line.name: line.value for line in shown.lines}
    assert list(values) == ["Flag", "Does now", "Drops", "Gradients", "Thread", "Output"]
    assert values["Does now"] == "drops 50\u00a0% in both modes at net.py:9"


def test_several_effects_and_marks_are_joined() -> None:
    effect = [Clause("batch-stats"), Clause("reads-flag", {"source": "net.py:7"})]
    marks = [Clause("has-nan", {"tensor": "running_var", "count": 2}), Clause("untouched-statistics")]
    shown = tree_states([state(1, True, effect, marks=marks)], ROWS)[1]
    assert shown.effect == "batch stats · reads its flag"
    assert shown.whole_effect == "batch stats · reads its training flag at net.py:7"
    assert "NaN" in shown.problem and "NaN" not in shown.remark
    assert "never updated" in shown.remark


def test_shapes_of_the_modules_that_were_called() -> None:
    seen = [p.ModuleCapture(1, 1, (1, 32, 4, 4)), p.ModuleCapture(2, 0)]
    assert tree_shapes(frame(modules=seen)) == {1: "1 × 32 × 4 × 4"}
    assert tree_shapes(None) == {}


def test_lines_of_a_norm_in_train_count_the_last_forwards_samples() -> None:
    shown = lines(1, frame(norms=[norm()]), own_parameters=2, own_trainable=1)
    assert list(shown) == ["Flag", "Uses", "Updates", "Gradients", "Thread", "Output"]
    assert shown["Flag"] == "training = True"
    # 12 samples in batches of 8: the last forward had 4, and batch_count is that forward's.
    assert shown["Uses"] == "statistics of this batch: 4 samples, 64 values"
    assert shown["Updates"] == "yes, momentum 0.1 (put back after each run)"
    assert shown["Gradients"] == "1 of 2 parameters require grad"
    assert shown["Thread"] == "no_grad"
    assert shown["Output"] == "not called in this run"


@pytest.mark.parametrize(
    ("changes", "batch", "uses", "updates"),
    [
        ({}, 1, "statistics of this batch: 1 sample, 64 values", "put back"),
        ({"uses": "running", "updates": False}, 8, "running statistics of 336 updates", "no"),
        ({"uses": "running", "updates": False, "tracked": None}, 8, "running statistics", "no"),
        ({"uses": "instance", "updates": False}, 8, "statistics of each sample by itself", "no"),
        ({"momentum": None}, 12, "statistics of this batch: 12 samples, 64 values", "cumulative average"),
        ({"momentum": 0.0}, 12, "statistics of this batch: 12 samples, 64 values", "never move"),
    ],
)
def test_policies_of_norms_in_words(changes: dict[str, object], batch: int, uses: str, updates: str) -> None:
    shown = lines(1, frame(norms=[norm(**changes)], batch=batch))
    assert shown["Uses"] == uses
    assert updates in shown["Updates"]


def test_kept_updates_are_said() -> None:
    assert lines(1, frame(norms=[norm()], ledger=p.Ledger(True, 0, 3)))["Updates"].endswith(", kept")


@pytest.mark.parametrize(
    ("changes", "drops"),
    [
        ({}, "49.6\u00a0% of 512, rest × 2"),
        ({"active": False, "observed": 0.0}, "nothing in this run"),
        ({"p": 1.0, "observed": 1.0}, "100\u00a0% of 512, nominal 100\u00a0%"),
        ({"alpha": True}, "49.6\u00a0% of 512, nominal 50\u00a0%"),
        ({"unit": "sample"}, "49.6\u00a0% of 512, nominal 50\u00a0%"),
        ({"unit": "batch"}, "49.6\u00a0% of 512, nominal 50\u00a0%"),
        ({"p": None}, "49.6\u00a0% of 512"),
        ({"unseen": Clause("some-reason")}, "unseen, nominal 50\u00a0%"),
        ({"unseen": Clause("some-reason"), "p": None}, "unseen"),
    ],
)
def test_what_a_dropout_dropped_in_words(changes: dict[str, object], drops: str) -> None:
    shown = lines(2, frame(dropouts=[dropout(**changes)]))
    assert shown["Drops"] == drops
    assert shown["Already zero"] == "100 of 512 before the layer"
    assert shown["Gradients"] == "no parameters"


def test_several_calls_of_a_dropout_are_counted_together() -> None:
    calls = [dropout(dropped=100, total=200, observed=0.5), dropout(call=1, dropped=20, total=200, observed=0.1)]
    shown = lines(2, frame(dropouts=calls))
    assert shown["Drops"] == "30\u00a0% of 400, rest × 2"
    assert shown["Already zero"] == "200 of 1\u202f024 before the layer"
    other = [calls[0], dropout(call=1, p=0.1, dropped=20, total=200, observed=0.1, already_zero=None)]
    shown = lines(2, frame(dropouts=other))
    assert (shown["Drops"], shown["Already zero"]) == ("30\u00a0% of 400", "not measured")
    hidden = [calls[0], dropout(call=1, unseen=Clause("some-reason"))]
    assert lines(2, frame(dropouts=hidden))["Drops"] == "unseen, nominal 50\u00a0%"


def test_zeros_that_were_not_counted_are_not_guessed() -> None:
    assert lines(2, frame(dropouts=[dropout(already_zero=None)]))["Already zero"] == "not measured"


@pytest.mark.parametrize(
    ("capture", "words"),
    [
        (p.ModuleCapture(3, 1, (1, 2), "float32", True), "1 × 2, requires_grad = True"),
        (p.ModuleCapture(3, 1, (1, 2), "float32", False, True), "1 × 2, inference tensor"),
        (p.ModuleCapture(3, 0), "not called in this run"),
        (p.ModuleCapture(3, 0, unseen=Clause("some-reason")), "some-reason"),
    ],
)
def test_the_output_in_words(capture: p.ModuleCapture, words: str) -> None:
    shown = lines(3, frame(modules=[capture]))
    assert shown["Output"] == words
    assert list(shown) == ["Flag", "Does now", "In eval", "Gradients", "Thread", "Output"]


def test_a_module_with_children_is_told_of_as_a_whole() -> None:
    whole = state(0, True, own_parameters=1, own_trainable=1, trainable=7)
    shown = selection(Selected(ROWS[0], whole, "net", "enabled", "train", None, has_children=True))
    values = {line.name: line.value for line in shown.lines}
    assert values["Gradients"] == "7 of 14\u202f274 values require grad"
    assert values["Thread"] == "grad on"


def test_a_container_tells_of_the_layers_below_that_react() -> None:
    again = Row("again", "again", 0, "Dropout", "torch.Dropout", 0, True, 1, kind="dropout", also_at=["drop"])
    inner = Row("own.norm", "norm", 3, "BatchNorm2d", "torch.BatchNorm2d", 8, True, 1, kind="batch_norm")
    rows = [*ROWS, inner, again]
    states = [state(index, training) for index, training in enumerate((True, False, True, None, False, True))]
    states[0] = state(0, True, [Clause("layers-react", {"count": 3})])
    chosen = Selected(rows[0], states[0], "net", "no_grad", "mixed", None, True, subtree(0, rows, states))
    values = {line.name: line.value for line in selection(chosen).lines}
    assert list(values) == ["Flag", "Subtree", "React", "Gradients", "Thread", "Output"]
    assert values["Subtree"] == "2 in train, 2 in eval"
    assert values["React"] == "2 BatchNorm2d, 1 Dropout"
    assert subtree(3, rows, states) == Subtree(0, 1, (("BatchNorm2d", 1),))
    below = replace(chosen, below=subtree(3, rows, states))
    assert {line.name: line.value for line in selection(below).lines}["Subtree"] == "1 in eval"


def test_before_the_first_run_nothing_is_claimed() -> None:
    shown = lines(3, None, None)
    assert shown["Output"] == "no run yet"
    assert "frozen script" in shown["Flag"]


def test_the_caption_says_what_it_is() -> None:
    def caption(index: int, now: p.Frame | None) -> str:
        return selection(Selected(ROWS[index], state(index, True), "net", "no_grad", "train", now)).caption

    assert caption(1, frame(norms=[norm()])) == "BatchNorm2d, 16 channels"
    assert caption(2, frame(dropouts=[dropout()])) == "Dropout, p = 0.5; the same module as again"
    assert caption(1, None) == "BatchNorm2d, 32 parameters"
    assert caption(2, None) == "Dropout; the same module as again"


CURVE = p.Curve([1, 2], [0.5, 0.0], [0.5, None], 1)
SET_EVAL = p.Remedy("set-eval", [""], False, ["model.eval()"])


def finding(**changes: object) -> p.Finding:
    fields: dict[str, object] = {"id": "ML999", "severity": "warning", "module": "norm"}
    return p.Finding(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    for id_, text in {
        "ML999.title": "Something about {module}",
        "ML999.title.many": "Several things",
        "ML999.body": "The only line.",
        "ML999.one": "First **{figure:figure}**.",
        "ML999.two": "Second.",
    }.items():
        monkeypatch.setitem(findings.PHRASES, id_, text)


def test_without_a_picture_all_lines_stand_together() -> None:
    (card,) = finding_rows([finding(values={"module": "norm"})], ROWS)
    assert (card.title, card.body, card.after) == ("Something about norm", "The only line.", "")
    assert (card.doc, card.severity, card.module) == ("ML999", "warning", "norm")


def test_with_a_picture_the_first_line_stands_above_it() -> None:
    values: dict[str, p.Value] = {"title": "ML999.title.many", "say": ["ML999.one", "ML999.two"], "figure": 0.5}
    (card,) = finding_rows([finding(values=values, curve=CURVE)], ROWS)
    assert (card.title, card.after) == ("Several things", "Second.")
    assert card.body.startswith("First **0.5")
    assert card.body.endswith("How far inputs differ, module by module:")
    assert card.curve is not None
    assert (card.curve.names, card.curve.eval, card.curve.collapse) == (("norm", "drop"), (0.5, None), 1)


def test_buttons_and_what_they_stand_for() -> None:
    only = p.Remedy("set-eval", ["norm"], False)
    both = p.Remedy("set-train", ["norm", "drop"], True)
    many = p.Remedy("set-eval", ["a", "b", "c"], False)
    put_back = p.Remedy("restore-checkpoint")
    one = finding(remedies=[SET_EVAL, only, both, many, put_back])
    (card,) = finding_rows([one], ROWS)
    assert [(button.id, button.text, button.mode) for button in card.remedies] == [
        ("set-eval", "Set eval", "eval"),
        ("set-eval-2", "Only norm", "eval"),
        ("set-train", "Set both train", "train"),
        ("set-eval-3", "Set 3 eval", "eval"),
        ("restore-checkpoint", "Put back checkpoint", ""),
    ]
    assert card.remedies[0].tooltip == "model.eval()"
    assert find_remedy([one], card.key, "set-eval-2") == (one, only)
    with pytest.raises(KeyError):
        find_remedy([one], card.key, "set-eval-9")


def test_keys_tell_equal_findings_apart() -> None:
    first, second = finding(), finding(values={"module": "norm"})
    keys = [card.key for card in finding_rows([first, second], ROWS)]
    assert len(set(keys)) == 2
    assert find_remedy([first, finding(remedies=[SET_EVAL])], keys[1], "set-eval")[1] == SET_EVAL


def test_a_solved_card_says_what_cured_it_and_offers_undo() -> None:
    card = solved_row(finding(curve=CURVE, values={"module": "norm"}), "Set eval", 14, ROWS)
    assert (card.severity, card.title) == ("solved", "No longer so: Something about norm")
    assert card.body == "**Set eval** changed 14 flags."
    assert [button.id for button in card.remedies] == ["undo", "copy-python"]
    assert card.curve is not None and card.after == ""
    incident = solved_row(finding(id="ML101"), "Set eval", 14, ROWS)
    assert incident.title == "Output follows the input again"
    assert solved_row(finding(), "Put back checkpoint", 0, ROWS).body == "**Put back checkpoint** did it."


def test_a_long_path_leaves_the_sentence_readable() -> None:
    path = ".".join(f"a_rather_long_module_name_{index:03}" for index in range(12))
    (card,) = finding_rows([finding(module=path, values={"module": path, "title": "ML999.title"})], ROWS)
    assert len(card.title) < 90 and card.title.endswith("a_rather_long_module_name_011")
    assert card.module == path  # what a click goes to


def test_a_norm_that_was_not_called_updates_nothing() -> None:
    shown = lines(1, frame(norms=[norm(unseen=Clause("not-called"))]))
    assert shown["Updates"] == "not called in this run"
