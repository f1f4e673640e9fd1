"""Two checkpoints side by side: every figure compared with the same got by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from modelight.engine.errors import Cancelled
from modelight.engine.inspect import diff, open_checkpoint, values
from modelight.protocol import CheckpointDifference, TensorDifference

State = dict[str, torch.Tensor]


def states() -> tuple[State, State]:
    """A network before and after two batches in train mode and one changed weight."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model(torch.randn(32, 6))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for _ in range(2):
        model(torch.randn(32, 6) + 3)
    after = {name: value.clone() for name, value in model.state_dict().items()}
    after["0.weight"][1, 2] += 0.5
    return before, after


def compare(folder: Path, before: State, after: State) -> CheckpointDifference:
    torch.save(before, folder / "before.pt")
    torch.save(after, folder / "after.pt")
    return diff(open_checkpoint(folder / "before.pt"), open_checkpoint(folder / "after.pt"))


def of(difference: CheckpointDifference, name: str) -> TensorDifference:
    return next(one for one in difference.tensors if one.name == name)


def test_equal_files_are_equal(tmp_path: Path) -> None:
    before, _ = states()
    before["0.bias"][0] = float("nan")

    found = compare(tmp_path, before, before)

    assert all(one.equal for one in found.tensors)
    assert of(found, "0.bias").not_finite == 1
    assert found.statistics == []


def test_how_far_a_weight_moved(tmp_path: Path) -> None:
    before, after = states()

    found = compare(tmp_path, before, after)

    moved = of(found, "0.weight")
    a, b = before["0.weight"].double(), after["0.weight"].double()
    assert (moved.equal, moved.changed) == (False, 1)
    assert moved.largest == pytest.approx((b - a).abs().max().item(), rel=1e-12)
    assert moved.relative == pytest.approx(((b - a).norm() / a.norm()).item(), rel=1e-12)
    assert {one.name for one in found.tensors if not one.equal} == {
        "0.weight", "1.running_mean", "1.running_var", "1.num_batches_tracked",
    }  # fmt: skip


def test_which_running_statistics_moved(tmp_path: Path) -> None:
    before, after = states()

    (found,) = compare(tmp_path, before, after).statistics

    mean, variance = before["1.running_mean"].double(), before["1.running_var"].double()
    drift = (after["1.running_mean"].double() - mean).abs() / variance.sqrt()
    ratio = after["1.running_var"].double() / variance
    assert (found.path, found.channels, found.updates) == ("1", 4, 2)
    assert (found.drift, found.channel) == (pytest.approx(drift.max().item(), rel=1e-9), drift.argmax().item())
    assert (found.ratio_low, found.ratio_high) == (
        pytest.approx(ratio.min().item(), rel=1e-9), pytest.approx(ratio.max().item(), rel=1e-9),
    )  # fmt: skip


def test_a_prefix_of_a_wrapper_is_seen_through_and_said(tmp_path: Path) -> None:
    before, after = states()

    found = compare(tmp_path, {f"module.{name}": value for name, value in before.items()}, after)

    assert found.removed == "module."
    assert len(found.tensors) == len(before)
    assert of(found, "module.0.bias").other_name == "0.bias"
    assert of(found, "module.0.bias").equal


def test_keys_in_one_only_and_other_shapes_and_dtypes(tmp_path: Path) -> None:
    before, after = states()
    after["2.weight"] = torch.zeros(3, 4)
    after["0.bias"] = before["0.bias"].double()
    after["extra"] = before.pop("2.bias")
    del after["2.bias"]
    before["old"] = torch.zeros(1)

    found = compare(tmp_path, before, after)

    assert (found.only_first, found.only_other) == (["old"], ["extra"])
    assert of(found, "2.weight").shapes == ((2, 4), (3, 4))
    assert of(found, "2.weight").changed is None
    assert of(found, "0.bias").dtypes == ("float32", "float64")
    assert (of(found, "0.bias").changed, of(found, "0.bias").equal) == (0, False)


def test_values_that_are_not_finite_are_counted_and_kept_out_of_the_distance(tmp_path: Path) -> None:
    before, after = {"a": torch.tensor([1.0, 2.0, 3.0])}, {"a": torch.tensor([1.0, float("inf"), 3.5])}

    found = of(compare(tmp_path, before, after), "a")

    assert (found.changed, found.not_finite, found.largest) == (2, 1, 0.5)
    assert found.relative == pytest.approx(0.5 / 10**0.5)


def test_no_relative_distance_from_zero(tmp_path: Path) -> None:
    found = of(compare(tmp_path, {"a": torch.zeros(3)}, {"a": torch.ones(3)}), "a")

    assert (found.largest, found.relative) == (1.0, None)


def test_pieces_change_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    a, b = torch.randn(50, 37), torch.randn(50, 37)
    whole, stats = of(compare(tmp_path, {"a": a}, {"a": b.T.contiguous().T}), "a"), values.exact(a).stats
    monkeypatch.setattr(values, "PIECE", 64)

    pieces, stats_of_pieces = of(compare(tmp_path, {"a": a}, {"a": b.T.contiguous().T}), "a"), values.exact(a).stats

    assert (pieces.changed, pieces.largest) == (whole.changed, whole.largest)
    assert pieces.relative == pytest.approx(whole.relative, rel=1e-12)
    assert stats_of_pieces.counts == stats.counts
    assert stats_of_pieces.std == pytest.approx(stats.std, rel=1e-12)
    for tensor in (a, a.T, torch.randn(3, 70, 2).permute(2, 0, 1)):
        assert torch.equal(torch.cat([part.reshape(-1) for part in values.pieces(tensor)]), tensor.reshape(-1))
        assert max(part.numel() for part in values.pieces(tensor)) <= 64


def test_comparing_can_be_stopped(tmp_path: Path) -> None:
    before, after = states()
    torch.save(before, tmp_path / "a.pt")
    torch.save(after, tmp_path / "b.pt")

    with pytest.raises(Cancelled):
        diff(open_checkpoint(tmp_path / "a.pt"), open_checkpoint(tmp_path / "b.pt"), should_stop=lambda: True)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint64])
def test_whole_numbers_that_float64_cannot_tell_apart_are_told_apart(tmp_path: Path, dtype: torch.dtype) -> None:
    values = torch.tensor([2**53 + 1, 5, 2**62], dtype=dtype)
    others = torch.tensor([2**53, 5, 1], dtype=dtype)
    torch.save({"n": values, "same": values}, tmp_path / "a.pt")
    torch.save({"n": others, "same": values.clone()}, tmp_path / "b.pt")
    one, same = diff(open_checkpoint(tmp_path / "a.pt"), open_checkpoint(tmp_path / "b.pt")).tensors
    assert (one.equal, one.changed, one.largest) == (False, 2, 2.0**62)
    assert (same.equal, same.changed, same.largest) == (True, 0, 0.0)


def test_a_counter_that_is_not_a_number_leaves_the_updates_unknown(tmp_path: Path) -> None:
    statistics = {"n.running_mean": torch.zeros(3), "n.running_var": torch.ones(3)}
    torch.save({**statistics, "n.num_batches_tracked": torch.tensor(float("nan"))}, tmp_path / "a.pt")
    moved = {**statistics, "n.running_mean": torch.ones(3), "n.num_batches_tracked": torch.tensor(4)}
    torch.save(moved, tmp_path / "b.pt")
    (found,) = diff(open_checkpoint(tmp_path / "a.pt"), open_checkpoint(tmp_path / "b.pt")).statistics
    assert (found.drift, found.updates) == (1.0, None)


@pytest.mark.filterwarnings("ignore")
def test_tensors_quantized_channel_by_channel_are_compared(tmp_path: Path) -> None:
    scales, zeros = torch.tensor([0.5, 0.25]), torch.zeros(2, dtype=torch.long)
    one, other = (
        torch.quantize_per_channel(torch.tensor(rows), scales, zeros, 0, torch.qint8)
        for rows in ([[1.0, 2.0], [1.0, 2.0]], [[1.0, 2.5], [1.0, 1.0]])
    )
    found = of(compare(tmp_path, {"a": one}, {"a": other}), "a")
    assert (found.changed, found.largest) == (2, 1.0)
