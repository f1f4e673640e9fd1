"""Checkpoints of other names or shapes than the model's: what is proposed, how sure it is, what loads on request."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from modelight.engine.errors import EngineError
from modelight.engine.loading import alignment, checkpoint
from modelight.engine.loading.opening import OpenModel, open_model
from modelight.protocol import Open


class Net(nn.Module):
    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, classes)


class Renamed(nn.Module):
    """The same network as another author wrote it."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.second, self.second_norm = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
        self.classifier = nn.Linear(4, classes)


TRUE_PAIRS = {
    "first": "features.0",
    "first_norm": "features.1",
    "second": "features.2",
    "second_norm": "features.3",
    "classifier": "head",
}


def trained(net: nn.Module) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return {
        name: torch.rand_like(value) if value.is_floating_point() else torch.full_like(value, 9)
        for name, value in net.state_dict().items()
    }


def test_other_names_are_proposed_by_layer_with_what_settles_each() -> None:
    theirs, ours = Renamed().state_dict(), Net().state_dict()
    pairs = alignment.propose(theirs, ours, {})
    assert {pair.theirs.rpartition(".")[0]: pair.ours.rpartition(".")[0] for pair in pairs} == TRUE_PAIRS
    assert all(pair.theirs.rpartition(".")[2] == pair.ours.rpartition(".")[2] for pair in pairs)
    # The convolutions and the classifier fit nowhere else; the two batch norms are alike, and their names tell nothing.
    assert alignment.counts(pairs) == {"shape": 6, "name": 0, "order": 10}
    assert {pair.why for pair in pairs if "norm" in pair.theirs} == {"order"}


def test_nothing_is_loaded_unasked_and_the_refusal_says_what_could_be(tmp_path: Path) -> None:
    net = Net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    torch.save(trained(Renamed()), tmp_path / "renamed.pt")
    with pytest.raises(EngineError, match=r"16 of its tensors have the shapes") as caught:
        checkpoint.load_into(net, tmp_path / "renamed.pt")
    clause = caught.value.clause
    assert clause is not None and clause.id == "checkpoint-other-names"
    assert (clause.values["count"], clause.values["of"], clause.values["order"]) == (16, 16, 10)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_asked_for_every_tensor_lands_where_it_belongs(tmp_path: Path, kind: str) -> None:
    """safetensors lists names in the order of the alphabet, where the classifier comes first."""
    state, path = trained(Renamed()), tmp_path / f"renamed.{kind}"
    if kind == "pt":
        torch.save(state, path)
    else:
        save_file(state, path)
    net = Net()
    report = checkpoint.load_into(net, path, align=True)
    assert (report.loaded, report.missing, report.unexpected, report.proposed) == (16, [], [], [])
    assert len(report.aligned) == 16
    own = net.state_dict()
    for theirs, value in state.items():
        layer, _, last = theirs.rpartition(".")
        assert torch.equal(own[f"{TRUE_PAIRS[layer]}.{last}"], value), theirs


def test_what_names_place_stays_and_only_the_rest_is_proposed(tmp_path: Path) -> None:
    state = trained(Net())
    renamed = {name.replace("head", "fc"): value for name, value in state.items()}
    torch.save(renamed, tmp_path / "a.pt")
    net = Net()
    report = checkpoint.load_into(net, tmp_path / "a.pt")
    assert report.proposed == [("fc.weight", "head.weight", "shape"), ("fc.bias", "head.bias", "shape")]
    assert report.missing == ["head.weight", "head.bias"] and report.aligned == []
    assert not torch.equal(net.head.weight, state["head.weight"])
    report = checkpoint.load_into(net, tmp_path / "a.pt", align=True)
    assert (report.missing, report.loaded, len(report.aligned)) == ([], 16, 2)
    assert torch.equal(net.head.weight, state["head.weight"])


def test_names_decide_between_layers_that_are_alike() -> None:
    theirs = {f"enc.{part}.proj.weight": torch.ones(4, 4) for part in ("key", "query", "value")}
    ours = {f"encoder.self.{part}.weight": torch.ones(4, 4) for part in ("query", "value", "key")}
    pairs = alignment.propose(theirs, ours, {})
    assert {(pair.theirs, pair.ours, pair.why) for pair in pairs} == {
        (f"enc.{part}.proj.weight", f"encoder.self.{part}.weight", "name") for part in ("key", "query", "value")
    }


def test_names_of_other_frameworks_inside_a_layer_are_known() -> None:
    theirs = {f"bn.{name}": torch.ones(4) for name in ("beta", "gamma", "moving_mean", "moving_variance")}
    ours = nn.ModuleDict({"norm": nn.BatchNorm1d(4)}).state_dict()
    found = {pair.theirs: pair.ours for pair in alignment.propose(theirs, ours, {})}
    assert found == {
        "bn.gamma": "norm.weight",
        "bn.beta": "norm.bias",
        "bn.moving_mean": "norm.running_mean",
        "bn.moving_variance": "norm.running_var",
    }


def test_layers_of_other_shapes_and_lone_counters_are_not_proposed() -> None:
    theirs = {"a.weight": torch.ones(5, 5), "a.bias": torch.ones(5), "b.steps": torch.tensor(3)}
    ours = {"x.weight": torch.ones(5, 6), "x.bias": torch.ones(5), "y.count": torch.tensor(0)}
    assert alignment.propose(theirs, ours, {}) == []


def test_two_thousand_layers_are_aligned_in_a_moment() -> None:
    theirs = {f"old.{i}.w": torch.empty(1 + i % 7, 3) for i in range(2000)}
    ours = {f"new.{i}.w": torch.empty(1 + i % 7, 3) for i in range(2000)}
    pairs = alignment.propose(theirs, ours, {})
    assert len(pairs) == 2000
    assert all(pair.theirs.split(".")[1] == pair.ours.split(".")[1] for pair in pairs)


# ------------------------------------------------------------------------------------------------------ other shapes


def test_of_other_shapes_the_block_that_both_have_is_loaded_on_request(tmp_path: Path) -> None:
    state = trained(Net(classes=10))
    torch.save(state, tmp_path / "ten.pt")
    net = Net(classes=3)
    torch.nn.init.constant_(net.head.weight, 7.0)
    report = checkpoint.load_into(net, tmp_path / "ten.pt")
    assert (report.mismatched[0], report.partial) == (("head.weight", (10, 4), (3, 4)), [])
    assert (net.head.weight == 7).all()
    report = checkpoint.load_into(net, tmp_path / "ten.pt", partial=True)
    assert report.partial == ["head.weight", "head.bias"] and report.loaded == 14
    assert torch.equal(net.head.weight, state["head.weight"][:3])
    wider = Net(classes=12)
    torch.nn.init.constant_(wider.head.weight, 7.0)
    report = checkpoint.load_into(wider, tmp_path / "ten.pt", partial=True)
    assert torch.equal(wider.head.weight[:10], state["head.weight"]) and (wider.head.weight[10:] == 7).all()
    note = next(clause for clause in report.notes if clause.id == "loaded-in-part")
    assert (note.values["elements"], note.values["of"]) == (50, 60)


def test_another_number_of_dimensions_has_no_block_in_common(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(2, 2, 1), "bias": torch.ones(2)}, tmp_path / "a.pt")
    net = nn.Linear(2, 2)
    before = net.weight.detach().clone()
    report = checkpoint.load_into(net, tmp_path / "a.pt", partial=True)
    assert (report.partial, report.loaded) == ([], 1)
    assert torch.equal(net.weight, before)


# ------------------------------------------------------------------------------------------- arguments of constructors

CODE = """
from torch import nn

class Sized(nn.Module):
    def __init__(self, width, classes, dropout=0.5, *, name="sized"):
        super().__init__()
        self.body, self.head, self.drop = nn.Linear(8, width), nn.Linear(width, classes), nn.Dropout(dropout)

class WithDefaults(Sized):
    def __init__(self, width=4, classes=2, dropout=0.5):
        super().__init__(width, classes, dropout)

class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        len(3)
"""


def opened(folder: Path, spec: str, content: Any) -> OpenModel:
    (folder / "sized_nets.py").write_text(CODE)
    torch.save(content, folder / "run.ckpt")
    return open_model(Open(id=1, spec=f"sized_nets.py:{spec}", checkpoint="run.ckpt", directory=str(folder)))


def weights(width: int, classes: int) -> dict[str, torch.Tensor]:
    shapes = {
        "body.weight": (width, 8),
        "body.bias": (width,),
        "head.weight": (classes, width),
        "head.bias": (classes,),
    }
    return {name: torch.rand(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("where", ["hyper_parameters", "args", "config"])
def test_missing_arguments_are_read_from_the_checkpoint_and_open_the_model(tmp_path: Path, where: str) -> None:
    said: Any = {"width": 6, "classes": 5, "dropout": 0.1, "learning_rate": 0.01}
    content = {"state_dict": weights(6, 5), where: argparse.Namespace(**said) if where == "args" else said}
    with pytest.raises(EngineError) as caught:
        opened(tmp_path, "Sized", content)
    clause = caught.value.clause
    assert caught.value.kind == "build" and clause is not None and clause.id == "arguments-known"
    spec = str(clause.values["spec"])
    assert spec == "sized_nets.py:Sized(width=6, classes=5, dropout=0.1)"
    assert clause.values["key"] == where and "missing 2 required" in str(caught.value)
    model = opened(tmp_path, spec.partition(":")[2], content)
    assert model.report is not None and (model.report.loaded, model.report.mismatched) == (4, [])


def test_nested_arguments_and_given_ones(tmp_path: Path) -> None:
    content = {"model": weights(6, 5), "config": {"model": {"classes": 5}, "lr": 1}}
    with pytest.raises(EngineError) as caught:
        opened(tmp_path, "Sized(6)", content)
    assert caught.value.clause is not None
    assert caught.value.clause.values["spec"] == "sized_nets.py:Sized(6, classes=5)"


def test_what_the_checkpoint_does_not_say_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"write these and width after the name") as caught:
        opened(tmp_path, "Sized", {"model": weights(6, 5), "config": {"classes": 5}})
    assert caught.value.clause is not None and caught.value.clause.id == "arguments-partly-known"


def test_other_shapes_than_the_defaults_are_explained_by_the_arguments(tmp_path: Path) -> None:
    model = opened(tmp_path, "WithDefaults", {"model": weights(4, 5), "config": {"classes": 5, "width": 4}})
    assert model.report is not None and len(model.report.mismatched) == 2
    note = next(clause for clause in model.report.notes if clause.id == "arguments-differ")
    assert note.values["spec"] == "sized_nets.py:WithDefaults(classes=5)"  # width is the default already


def test_a_type_error_inside_the_constructor_gets_no_arguments(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="has no len") as caught:
        opened(tmp_path, "Broken", {"model": weights(4, 5), "config": {"classes": 5}})
    assert caught.value.clause is None


def test_objects_in_the_arguments_are_neither_run_nor_taken(tmp_path: Path) -> None:
    content = {"model": weights(6, 5), "config": {"classes": torch.ones(2), "width": Path("6")}}
    with pytest.raises(EngineError, match="missing 2 required") as caught:
        opened(tmp_path, "Sized", content)
    assert caught.value.clause is None


def test_a_number_that_happens_to_be_equal_decides_nothing() -> None:
    """Of three batch norms alike, “m1” is the first in order, not the one whose path holds a 1."""
    ours = {
        f"{path}.{name}": torch.rand(4) for path in ("bn", "blocks.0.1", "blocks.1.1") for name in ("weight", "bias")
    }
    names = {"bn": "m1", "blocks.0.1": "m3", "blocks.1.1": "m5"}
    theirs = {f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": value for key, value in ours.items()}
    pairs = alignment.propose(theirs, ours, {})
    assert {pair.theirs.partition(".")[0]: pair.ours.rpartition(".")[0] for pair in pairs} == {
        other: path for path, other in names.items()
    }
    assert {pair.why for pair in pairs} == {"order"}


def test_numbers_decide_where_they_count_the_same_things() -> None:
    """As files of safetensors list them, 10 before 2."""
    ours = {f"blocks.{number}.fc.weight": torch.rand(4, 4) for number in range(12)}
    theirs = dict(sorted((f"stage.{number}.dense.weight", torch.rand(4, 4)) for number in range(12)))
    pairs = alignment.propose(theirs, ours, {})
    assert [pair.theirs.split(".")[1] for pair in pairs] == [pair.ours.split(".")[1] for pair in pairs]
