"""Checkpoints looked at without their model; figures compared with those that torch gives by hand."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from modelight.engine.errors import Cancelled, EngineError
from modelight.engine.inspect import handle, handle_tensor, inspect, open_checkpoint, stamp_of, take
from modelight.protocol import Inspect, InspectTensor
from tests.engine.checkpoints import ids, layer, small, tensor


def test_a_state_dict_gives_the_figures_that_torch_gives(tmp_path: Path) -> None:
    model = small()
    torch.save(model.state_dict(), tmp_path / "a.pt")

    facts = inspect(tmp_path / "a.pt")

    assert facts.format == "torch zip"
    assert facts.file_bytes == (tmp_path / "a.pt").stat().st_size
    assert facts.parameters == sum(value.numel() for value in model.parameters())
    assert facts.buffers == sum(value.numel() for value in model.buffers())
    assert facts.tensor_bytes == sum(value.numel() * value.element_size() for value in model.state_dict().values())
    assert [one.name for one in facts.tensors] == list(model.state_dict())
    assert [one.shape for one in facts.tensors] == [tuple(value.shape) for value in model.state_dict().values()]
    assert {one.name for one in facts.tensors if one.role == "buffer"} == {name for name, _ in model.named_buffers()}
    assert all(one.role_guessed for one in facts.tensors)
    assert facts.dtypes == {"float32": facts.parameters + 16, "int64": 1}


def test_the_tree_adds_up_and_lists_parents_first(tmp_path: Path) -> None:
    torch.save({"model": nn.ModuleDict({"a": small(), "b": nn.Linear(2, 3)}).state_dict()}, tmp_path / "a.pt")

    facts = inspect(tmp_path / "a.pt")

    assert [one.path for one in facts.layers] == ["", "a", "a.conv", "a.norm", "a.head", "b"]
    assert [one.parent for one in facts.layers] == [-1, 0, 1, 1, 1, 0]
    assert layer(facts, "a").parameters == sum(value.numel() for value in small().parameters())
    assert facts.layers[0].parameters == layer(facts, "a").parameters + 9
    assert layer(facts, "a.norm").buffers == 17
    assert facts.layers[0].bytes == facts.tensor_bytes


def test_a_state_dict_is_said_to_carry_no_flags(tmp_path: Path) -> None:
    torch.save(small().eval().state_dict(), tmp_path / "a.pt")

    facts = inspect(tmp_path / "a.pt")

    assert not facts.has_flags
    assert "no-training-flags" in ids(facts.notes)
    assert all(one.training is None for one in facts.layers)


def test_what_wraps_the_state_dict_is_told(tmp_path: Path) -> None:
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25, momentum=0.9)
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    wrapped = {
        "epoch": 12,
        "model_state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "args": {"lr": 0.25, "layers": [1, 2, 3], "name": "digits"},
    }
    torch.save(wrapped, tmp_path / "a.pt")

    facts = inspect(tmp_path / "a.pt")

    around = dict(facts.wrapping)
    assert facts.key == "model_state_dict"
    assert around["epoch"] == "12"
    assert around["args.layers"] == "[1, 2, 3]"
    assert around["args.name"] == "digits"
    assert around["optimizer.param_groups[0].lr"] == "0.25"
    assert around["optimizer.state"] == "momentum_buffer × 6"
    assert not any(name.startswith("model_state_dict") for name in around)


def test_several_state_dicts_are_listed_and_one_is_taken(tmp_path: Path) -> None:
    torch.save({"model": small().state_dict(), "ema": nn.Linear(2, 3).state_dict()}, tmp_path / "a.pt")

    likeliest, ema = inspect(tmp_path / "a.pt"), inspect(tmp_path / "a.pt", key="ema")

    assert [(one.key, one.tensors) for one in likeliest.state_dicts] == [("model", 9), ("ema", 2)]
    assert likeliest.key == "model"
    assert (ema.key, ema.parameters) == ("ema", 9)
    assert take(open_checkpoint(tmp_path / "a.pt"), "ema").chosen.key == "ema"
    with pytest.raises(EngineError, match=r"no state dict under “other”; it holds: model, ema\."):
        inspect(tmp_path / "a.pt", key="other")


@pytest.mark.parametrize(
    ("spoil", "id_", "values"),
    [
        ({"norm.running_mean": (0, float("nan"))}, "has-nan", {"tensor": "running_mean", "count": 1}),
        ({"norm.running_var": (2, float("inf"))}, "has-infinite", {"tensor": "running_var", "count": 1}),
        ({"norm.running_var": (5, 0.0)}, "zero-variance", {"count": 1, "channels": 8}),
        ({"norm.running_var": (5, -1.0)}, "negative-variance", {"count": 1, "channels": 8}),
    ],
)
def test_bad_statistics_are_marked_unasked(
    tmp_path: Path, spoil: dict[str, tuple[int, float]], id_: str, values: dict[str, object]
) -> None:
    state = small().state_dict()
    torch.save(state, tmp_path / "good.pt")
    for name, (channel, value) in spoil.items():
        state[name][channel] = value
    torch.save(state, tmp_path / "bad.pt")

    good, bad = inspect(tmp_path / "good.pt"), inspect(tmp_path / "bad.pt")

    assert not any(one.marks for one in (*good.layers, *good.tensors))
    marks = [mark for one in (*bad.layers, *bad.tensors) for mark in one.marks]
    assert [(mark.id, mark.values) for mark in marks] == [(id_, values)]


def test_statistics_that_never_moved_and_those_without_counter_are_told_apart(tmp_path: Path) -> None:
    state = nn.Sequential(nn.BatchNorm1d(4), nn.BatchNorm1d(4), nn.BatchNorm1d(4), nn.BatchNorm1d(4)).state_dict()
    state["1.num_batches_tracked"] += 1  # an update that happened to see mean 0 and variance 1
    state["2.running_mean"] += 0.5
    del state["2.num_batches_tracked"], state["3.running_var"]
    torch.save(state, tmp_path / "a.pt")

    facts = inspect(tmp_path / "a.pt")

    assert [ids(layer(facts, path).marks) for path in "0123"] == [
        {"untouched-statistics"}, set(), set(), {"statistics-incomplete"},
    ]  # fmt: skip
    assert ids(layer(facts, "2").notes) == {"counter-absent"}
    assert next(note for note in facts.notes if note.id == "counters-absent").values == {"count": 1}


def test_deep_finds_what_a_glance_does_not_and_gives_exact_figures(tmp_path: Path) -> None:
    state = small().state_dict()
    state["conv.weight"][0, 0, 0, :2] = torch.tensor([float("nan"), float("-inf")])
    torch.save(state, tmp_path / "a.pt")

    glance, deep = inspect(tmp_path / "a.pt"), inspect(tmp_path / "a.pt", deep=True)

    assert not tensor(glance, "conv.weight").marks
    assert tensor(glance, "conv.weight").stats is None
    assert "values-not-read" in ids(glance.notes)
    assert "values-not-read" not in ids(deep.notes)
    assert ids(tensor(deep, "conv.weight").marks) == {"has-nan", "has-infinite"}
    stats, values = tensor(deep, "head.weight").stats, state["head.weight"].double()
    assert stats is not None
    assert stats.count == stats.sampled == values.numel()
    assert (stats.minimum, stats.maximum) == (values.min(), values.max())
    assert stats.mean == pytest.approx(values.mean().item(), rel=1e-12)
    assert stats.std == pytest.approx(values.std(unbiased=False).item(), rel=1e-12)
    assert stats.counts is not None
    assert np.array_equal(stats.counts.numpy(), np.histogram(values.numpy(), 64)[0])


def test_tied_tensors_are_counted_once(tmp_path: Path) -> None:
    embedding, head = nn.Embedding(10, 4), nn.Linear(4, 10)
    head.weight = embedding.weight
    torch.save(nn.ModuleDict({"embed": embedding, "head": head}).state_dict(), tmp_path / "a.pt")

    facts = inspect(tmp_path / "a.pt")

    assert tensor(facts, "head.weight").tied_to == "embed.weight"
    assert (facts.parameters, facts.tensor_bytes) == (50, 200)


def test_entries_that_are_no_tensors_are_not_lost(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.ones(2, 2), "a._extra_state": "version 3", "epoch": 7}, tmp_path / "a.pt")

    facts = inspect(tmp_path / "a.pt")

    assert dict(facts.extras) == {"a._extra_state": "version 3", "epoch": "7"}


def test_handle_answers_the_command(tmp_path: Path) -> None:
    torch.save({"epoch": 1, "model": small().state_dict()}, tmp_path / "a.pt")

    reply = handle(Inspect(id=7, path=str(tmp_path / "a.pt")))

    assert (reply.id, reply.facts.key) == (7, "model")
    assert reply.facts.stamp == stamp_of(tmp_path / "a.pt")


def test_handle_tensor_reads_every_value_and_tells_a_changed_file(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    values = torch.randn(1000, 7)
    torch.save({"a.weight": values, "a.wave": torch.ones(2, dtype=torch.complex64)}, path)
    stamp = inspect(path).stamp

    reply = handle_tensor(InspectTensor(id=8, path=str(path), name="a.weight"))
    complex_reply = handle_tensor(InspectTensor(id=9, path=str(path), name="a.wave"))
    torch.save({"a.weight": values[:10].clone()}, path)
    changed = handle_tensor(InspectTensor(id=10, path=str(path), name="a.weight"))

    assert reply.stats is not None
    assert reply.stats.counts is not None
    assert (reply.id, reply.stats.count, reply.stats.counts.numpy().sum()) == (8, 7000, 7000)
    assert reply.stats.std == pytest.approx(values.double().std(unbiased=False).item(), rel=1e-9)
    assert reply.stamp == stamp
    assert complex_reply.stats is None
    assert complex_reply.unseen is not None
    assert complex_reply.unseen.id == "values-complex"
    assert changed.stamp != stamp
    with pytest.raises(EngineError, match="no tensor gone"):
        handle_tensor(InspectTensor(id=11, path=str(path), name="gone"))


def test_reading_can_be_stopped(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.ones(4)}, tmp_path / "a.pt")

    with pytest.raises(Cancelled):
        inspect(tmp_path / "a.pt", deep=True, should_stop=lambda: True)
    with pytest.raises(Cancelled):
        handle_tensor(InspectTensor(id=1, path=str(tmp_path / "a.pt"), name="a.weight"), should_stop=lambda: True)


def test_an_expanded_tensor_is_neither_read_nor_counted_at_its_promised_size(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.ones(1).expand(2**40)}, tmp_path / "a.pt")

    facts = inspect(tmp_path / "a.pt", deep=True)

    assert tensor(facts, "a.weight").bytes == 4
    assert tensor(facts, "a.weight").stats is None


def test_arguments_in_a_namespace_are_shown_without_running_their_code(tmp_path: Path) -> None:
    content = {"model": small().state_dict(), "args": argparse.Namespace(lr=0.5, data=Path("images/train"))}
    torch.save(content, tmp_path / "a.pt")

    around = dict(inspect(tmp_path / "a.pt").wrapping)

    assert around["args.lr"] == "0.5"
    assert "train" in around["args.data"]


def test_what_lies_beside_the_tensors_of_the_file_itself_is_shown(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.ones(2, 2), "config": {"width": 2}}, tmp_path / "a.pt")

    facts = inspect(tmp_path / "a.pt")

    assert (facts.key, facts.wrapping) == ("", [("config.width", "2")])


def test_a_learned_scale_is_a_parameter_and_a_codebook_that_is_averaged_is_none(tmp_path: Path) -> None:
    state = {
        "layer_scale.scale": torch.ones(8),
        "quantized.scale": torch.tensor(0.5),
        "quantized.zero_point": torch.tensor(3.0),
        "codebook.embed": torch.ones(4, 8),
        "codebook.embed_avg": torch.ones(4, 8),
        "codebook.cluster_size": torch.ones(4),
        "plain.embed": torch.ones(4, 8),
    }
    torch.save(state, tmp_path / "a.pt")
    roles = {one.name: one.role for one in inspect(tmp_path / "a.pt").tensors}
    assert {name for name, role in roles.items() if role == "parameter"} == {"layer_scale.scale", "plain.embed"}
