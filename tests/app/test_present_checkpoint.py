"""A checkpoint from the file through the protocol to what its page shows."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import modelight.engine.inspect
from modelight.engine.inspect import handle, handle_pair, handle_tensor
from modelight.phrases import phrase
from modelight.present.checkpoint import checkpoint_data, tensor_data
from modelight.protocol import (
    CheckpointFacts,
    CheckpointsCompared,
    Clause,
    CommandMessage,
    CompareCheckpoints,
    Decoder,
    EventMessage,
    Inspect,
    Inspected,
    InspectTensor,
    TensorInspected,
    encode,
)

Reply = Inspected | TensorInspected | CheckpointsCompared


def over_the_pipe(event: Reply) -> Reply:
    (received,) = Decoder(EventMessage).feed(encode(event))
    assert isinstance(received, type(event))
    return received


def look(path: Path, *, trust: bool = False) -> CheckpointFacts:
    (command,) = Decoder(CommandMessage).feed(encode(Inspect(id=1, path=str(path), trust=trust)))
    received = over_the_pipe(handle(command))
    assert isinstance(received, Inspected)
    return received.facts


def values(path: Path, name: str) -> TensorInspected:
    received = over_the_pipe(handle_tensor(InspectTensor(id=2, path=str(path), name=name)))
    assert isinstance(received, TensorInspected)
    return received


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4))
    model(torch.randn(8, 6))
    state = model.state_dict()
    state["1.running_var"][2] = 0
    torch.save({"epoch": 3, "model": state, "ema": state}, tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def test_the_page_shows_what_the_file_holds(path: Path) -> None:
    data = checkpoint_data(look(path))

    assert (data.file, data.format, data.key) == ("last.ckpt", "torch zip", "model")
    assert data.choices == (("model", 7), ("ema", 7))
    assert (data.tensors, data.parameters, data.buffers) == (7, 36, 9)
    assert data.around == (("epoch", "3"),)
    assert data.attention == (("1", "running variance 0 in 1 of 4 channels"),)
    names = [(row.name, data.rows[row.parent].name if row.parent >= 0 else None, row.key) for row in data.rows]
    assert names[:4] == [
        ("last", None, ""), ("0", "last", ""), ("weight", "0", "0.weight"), ("bias", "0", "0.bias"),
    ]  # fmt: skip
    assert data.rows[4].marks == "running variance 0 in 1 of 4 channels"
    assert data.rows[2].kind == "parameter"
    assert not data.has_flags


def test_flags_reach_the_page_where_the_file_carries_them(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).eval()
    model[1].train()
    torch.save(model, tmp_path / "whole.pt")

    data = checkpoint_data(look(tmp_path / "whole.pt", trust=True))

    assert {row.name: row.mode for row in data.rows if not row.key} == {"whole": "eval", "0": "eval", "1": "train"}
    assert data.has_flags


def test_the_histogram_is_that_of_numpy(path: Path) -> None:
    weight = torch.load(path, weights_only=True)["model"]["0.weight"].double().numpy()

    data = tensor_data(values(path, "0.weight"), look(path))

    assert data.counts is not None
    assert data.edges is not None
    counts, edges = np.histogram(weight, len(data.counts))
    assert np.array_equal(data.counts, counts)
    assert data.edges == pytest.approx(edges)
    assert (data.count, data.role, data.changed) == (24, "mask", False)
    assert [name for name, _ in data.figures] == ["minimum", "mean", "deviation", "maximum"]


def test_running_statistics_are_painted_as_what_eval_uses(path: Path) -> None:
    assert tensor_data(values(path, "1.running_mean"), look(path)).role == "eval_mark"


def test_a_tensor_of_one_value_keeps_its_count_in_a_narrow_bar(path: Path) -> None:
    data = tensor_data(values(path, "1.num_batches_tracked"), look(path))

    assert data.edges is not None
    assert data.counts is not None
    assert data.counts.tolist() == [0.0, 1.0, 0.0]
    assert data.edges[1] < 1 < data.edges[2]


def test_a_changed_file_is_noticed(path: Path) -> None:
    facts = look(path)
    torch.save({"model": {"0.weight": torch.ones(3)}}, path)

    assert tensor_data(values(path, "0.weight"), facts).changed


def test_what_cannot_be_shown_says_why(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.ones(2, dtype=torch.complex64)}, tmp_path / "a.pt")
    path = tmp_path / "a.pt"

    data = tensor_data(values(path, "a.weight"), look(path))

    assert data.counts is None
    assert "complex" in data.words


def test_beside_another_checkpoint_each_row_says_how_far_it_lies(path: Path, tmp_path: Path) -> None:
    wrapped = torch.load(path, weights_only=True)
    state = {name: value.clone() for name, value in wrapped["model"].items()}
    state["0.weight"][0, 0] += 0.25
    state["0.bias"] = torch.zeros(5)
    state["1.running_mean"] += 3
    del state["1.bias"]
    torch.save({"model": state, "step": 4}, tmp_path / "other.ckpt")
    command = CompareCheckpoints(id=3, path=str(path), other=str(tmp_path / "other.ckpt"), key="ema", other_key="")

    received = over_the_pipe(handle_pair(command))
    assert isinstance(received, CheckpointsCompared)
    data = checkpoint_data(look(path), received.difference)

    rows = {row.key or row.name: row for row in data.rows}
    assert rows["0.weight"].difference.endswith(", largest 0.250")
    assert rows["0.bias"].difference == "there 5"
    assert rows["1.weight"].difference == "equal"
    assert rows["1.bias"].difference == "only here"
    assert rows["1"].difference.startswith("mean moved up to ")
    assert {name for name, row in rows.items() if row.differs} == {
        "0.weight", "0.bias", "1.bias", "1", "1.running_mean",
    }  # fmt: skip
    assert data.against[0] == "Against other.ckpt: 3 tensors equal, 3 different."
    assert data.against[1] == "Only here, 1: 1.bias"


def test_a_layer_whose_counter_alone_differs_has_not_moved(path: Path, tmp_path: Path) -> None:
    state = torch.load(path, weights_only=True)["model"]
    del state["1.num_batches_tracked"]
    torch.save(state, tmp_path / "other.pt")
    command = CompareCheckpoints(id=3, path=str(path), other=str(tmp_path / "other.pt"), key="model")
    data = checkpoint_data(look(path), handle_pair(command).difference)
    assert {row.key or row.name for row in data.rows if row.differs} == {"1.num_batches_tracked"}


def test_two_state_dicts_of_one_file_can_be_compared(path: Path) -> None:
    found = handle_pair(CompareCheckpoints(id=4, path=str(path), other=str(path), key="model", other_key="ema"))
    assert all(one.equal for one in found.difference.tensors)


def test_names_that_no_encoder_takes_cross_as_escapes(tmp_path: Path) -> None:
    torch.save({"a\ud800.weight": torch.ones(2)}, tmp_path / "a.pt")

    facts = look(tmp_path / "a.pt")

    assert [tensor.name for tensor in facts.tensors] == ["a\\ud800.weight"]
    assert values(tmp_path / "a.pt", "a\\ud800.weight").stats is not None


def test_everything_that_the_engine_says_of_a_checkpoint_has_words() -> None:
    folder = Path(modelight.engine.inspect.__path__[0])
    text = "".join(file.read_text(encoding="utf-8") for file in folder.glob("*.py"))
    ids = set(re.findall(r'Clause\(\s*"([a-z-]+)"', text)) | set(re.findall(r'"(kind-[a-z-]+)"', text))

    assert len(ids) > 30
    assert {id_ for id_ in ids if phrase(Clause(id_)).startswith(id_)} == set()
