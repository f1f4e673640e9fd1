"""Structure: what train() and eval() do not reach, or reach differently, is found and named."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

import modelight
from modelight.engine.modules import hidden, structure
from modelight.engine.modules.rows import Rows
from modelight.protocol import Clause


def notes(model: nn.Module, path: str = "") -> dict[str, Clause]:
    rows = Rows(model)
    return {note.id: note for note in rows.rows[rows.by_path(path)].notes}


def line_of(clause: Clause) -> str:
    """The line of this file that a clause points at."""
    name, line = str(clause.values["source"]).rsplit(":", 1)
    assert name == __file__
    return Path(name).read_text(encoding="utf-8").splitlines()[int(line) - 1].strip()


class FrozenBackbone(nn.Module):
    """FCOS's way: an overridden train() that ignores its argument."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)

    def train(self, mode: bool = True) -> FrozenBackbone:
        super().train(mode)
        self.norm.eval()
        return self

    def eval(self) -> FrozenBackbone:
        return self.train(False)


class Heir(FrozenBackbone):
    pass


@pytest.mark.parametrize("kind", [FrozenBackbone, Heir])
def test_overridden_train_and_eval(kind: type[nn.Module]) -> None:
    found = notes(kind())
    assert line_of(found["overrides-train"]).startswith("def train(self")
    assert line_of(found["overrides-eval"]).startswith("def eval(self")
    assert structure.overridden(kind()) is not None


@pytest.mark.package
def test_the_train_of_transformers_does_more_only_with_kernels() -> None:
    from transformers import BertConfig, BertModel

    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    model = BertModel(BertConfig(vocab_size=9, **small))
    assert structure.overridden(model) is None
    model._use_kernels = True
    assert structure.overridden(model) is not None


def test_train_replaced_on_the_instance() -> None:
    norm = nn.BatchNorm1d(2)
    norm.train = lambda mode=True: norm  # type: ignore[method-assign]
    assert line_of(notes(nn.Sequential(norm), "0")["overrides-train"]).startswith("norm.train = lambda")


def test_nothing_to_say_of_plain_modules() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2), nn.MultiheadAttention(2, 1), nn.BatchNorm1d(2))
    assert all(row.notes == [] for row in Rows(model).rows)
    assert structure.overridden(model) is None


class Tagger(nn.Module):
    """Its layers hang in plain Python."""

    def __init__(self, hold: Callable[[list[nn.Module]], object]) -> None:
        super().__init__()
        self.registered = nn.Dropout(0.1)
        self.layers = hold([nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)), nn.Dropout(0.2)])


@pytest.mark.parametrize(
    ("hold", "where"),
    [
        (list, ["tagger.layers[0]", "tagger.layers[1]"]),
        (tuple, ["tagger.layers[0]", "tagger.layers[1]"]),
        (lambda parts: dict(zip("ab", parts, strict=True)), ["tagger.layers['a']", "tagger.layers['b']"]),
        (
            lambda parts: {"deep": [(part,) for part in parts]},
            ["tagger.layers['deep'][0][0]", "tagger.layers['deep'][1][0]"],
        ),
    ],
    ids=["list", "tuple", "dict", "nested"],
)
def test_modules_in_plain_python_containers(hold: Callable[[list[nn.Module]], object], where: list[str]) -> None:
    model = nn.ModuleDict({"tagger": Tagger(hold)})
    clause = notes(model, "tagger")["unregistered"]
    assert clause.values == {"attribute": "layers", "count": 2, "at": where}
    model.eval()
    rows = Rows(model)
    assert [item.module.training for item in rows.hidden] == [True, True]  # eval() did not reach them
    for item in rows.hidden:
        assert eval(f"model.{item.where}".replace("model.tagger", "model['tagger']"), {"model": model}) is item.module


def test_train_of_torchs_own_wrappers_is_no_news() -> None:
    assert "train" in vars(nn.parallel.DistributedDataParallel)
    clauses = structure.of_class(nn.parallel.DistributedDataParallel)
    assert [clause.id for clause in clauses] == ["wrapper"]


def test_a_module_slipped_past_registration() -> None:
    model = nn.Sequential(nn.ReLU())
    model.__dict__["teacher"] = nn.Dropout()
    assert notes(model)["unregistered"].values == {"attribute": "teacher", "count": 1, "at": ["teacher"]}


def test_registered_modules_that_are_also_in_a_list_are_no_news() -> None:
    model = nn.Sequential(nn.Dropout())
    model.order = [model[0], model]
    assert notes(model) == {}


def test_a_training_property() -> None:
    class Always(nn.Module):
        @property
        def training(self) -> bool:
            return False

        @training.setter
        def training(self, value: bool) -> None:
            pass

    assert "training-property" in notes(Always())


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_scripts_traces_and_frozen_scripts() -> None:
    part = nn.Sequential(nn.Dropout())
    script = torch.jit.script(part)
    traced = torch.jit.trace(part.eval(), torch.ones(2))
    frozen = torch.jit.freeze(torch.jit.script(part.eval()))
    model = nn.Sequential(script, traced, frozen)
    assert [set(notes(model, path)) for path in ("0", "1", "2")] == [{"script"}, {"traced-script"}, {"frozen-script"}]
    assert notes(model, "0.0")["script"].values == {"name": "Dropout"}


def test_compiled_and_wrapped_models() -> None:
    inner = nn.Sequential(nn.Dropout())
    compiled = torch.compile(inner, backend="eager")
    assert set(notes(compiled)) == {"compiled"} and notes(compiled, "_orig_mod") == {}
    inner.compile(backend="eager")
    assert set(notes(inner)) == {"compiled-call"}
    wrapped = nn.DataParallel(nn.Linear(1, 1))
    assert notes(wrapped)["wrapper"].values == {"type": "DataParallel"}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_weight_norm_in_both_forms() -> None:
    assert notes(nn.utils.weight_norm(nn.Linear(2, 2)))["weight-hook"].values == {"tensors": ["weight"]}
    modern = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    assert notes(modern)["parametrized"].values == {"tensors": ["weight"]}


def test_lazy_layers_say_so_until_they_have_run() -> None:
    layer = nn.LazyLinear(2)
    assert set(notes(layer)) == {"lazy"}
    layer(torch.ones(1, 3))
    assert notes(layer) == {}


class Nameless:
    def __repr__(self) -> str:
        raise ValueError("not yet")


def test_keys_that_cannot_be_written_are_named_by_their_class() -> None:
    key = Nameless()

    class Keyed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table: dict[Any, Any] = {key: nn.Dropout(), 1: {key: [2]}}

        def forward(self, x: torch.Tensor) -> Any:
            self.table[1][key].append(3)
            return {key: x}

    model = Keyed()
    (found,) = hidden.find(Rows(model).skeleton)
    assert found.where == "table[<Nameless>]"
    seen = modelight.observe(model, torch.randn(2))
    assert [entry.name for entry in seen.ledger] == ["table[1][<Nameless>]"]
    assert model.table[1][key] == [2]


def test_shared_modules_name_their_other_places() -> None:
    shared = nn.Dropout()
    model = nn.Sequential(shared, nn.Sequential(shared), shared)
    assert notes(model, "1.0")["shared"].values == {"paths": ["0", "2"], "count": 3}


class Pair(NamedTuple):
    first: nn.Module
    second: int


class Holder:
    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.holder = self


def test_modules_are_found_in_objects_named_tuples_and_ordered_dictionaries_too() -> None:
    model = nn.Module()
    places = [nn.Dropout() for _ in range(5)]
    model.teacher = Holder(places[0])
    model.pair = Pair(places[1], 2)
    model.table = OrderedDict(a=places[2])
    model.names = SimpleNamespace(last=[places[3]])
    model.queue = deque([places[4]])
    found = {item.where: item.module for item in Rows(model).hidden}
    where = ["teacher.module", "pair[0]", "table['a']", "names.last[0]", "queue[0]"]
    assert found == dict(zip(where, places, strict=True))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("training", [False, True])
def test_a_trace_that_was_saved_still_says_which_mode_is_baked_in(tmp_path: Path, training: bool) -> None:
    part = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train(training)
    torch.jit.trace(part, torch.ones(2), check_trace=False).save(str(tmp_path / "t.pt"))
    loaded = torch.jit.load(tmp_path / "t.pt")
    assert set(notes(loaded, "1")) == {"traced-in-train" if training else "traced-in-eval"}
    assert set(notes(loaded, "0")) == {"script"}
