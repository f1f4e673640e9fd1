"""Re-estimated statistics against torch's own update_bn; the exported file gives what the preview promised."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.optim.swa_utils import update_bn

from modelight.engine.batches import Inputs
from modelight.engine.errors import Cancelled, EngineError
from modelight.engine.experiments.reestimate import Estimate, reestimate, shuffled
from modelight.engine.experiments.repaired import export
from modelight.engine.modules.rows import Rows
from modelight.protocol import ExportCheckpoint, InputInfo, NormEstimate, ReEstimate
from modelight.sample_models import digits_cnn, norm_zoo

from .looking import digits, fed


def estimate(
    model: nn.Module, inputs: torch.Tensor, *, batch: int = 4, passes: int = 1, info: InputInfo | None = None
) -> Estimate:
    command = ReEstimate(id=9, batch=batch, passes=passes, seed=3)
    return reestimate(model, Inputs((inputs,), samples=len(inputs)), Rows(model), command, info=info)


def at(found: Estimate, path: str) -> NormEstimate:
    return next(one for one in found.reply.norms if one.path == path)


def shifted(samples: int = 10) -> torch.Tensor:
    """Digits whose grey values are not those of the training."""
    return digits_cnn.example_input().repeat(2, 1, 1, 1)[:samples] * 3.0 + 1.0


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


# -------------------------------------------------------------------------------------------------------- the estimate


@pytest.mark.parametrize("passes", [1, 3])
def test_equal_to_update_bn_bit_for_bit(passes: int) -> None:
    model, inputs = digits(), shifted(10)
    found = estimate(model, inputs, batch=4, passes=passes)
    whole = Inputs((inputs,), samples=10)
    parts = [part.args[0] for number in range(passes) for part in shuffled(whole, 3, number).batches(4)]
    reference = copy.deepcopy(model)
    update_bn(parts, reference)  # its dropout is behind the last norm
    assert found.reply.batches == len(parts) == 3 * passes
    for path, buffers in found.buffers.items():
        for name, value in buffers.items():
            assert torch.equal(value, reference.get_submodule(path).get_buffer(name)), (path, name)
        np.testing.assert_array_equal(at(found, path).mean_after.numpy(), buffers["running_mean"].double().numpy())
    assert sorted(found.buffers) == ["features.1", "features.4", "features.8"]


def test_dropout_before_a_norm_does_not_disturb_it() -> None:
    model = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm1d(4)).train()
    inputs = torch.randn(12, 4) + 2
    new = estimate(model, inputs, batch=12).buffers["1"]
    torch.testing.assert_close(new["running_mean"], inputs.mean(0))
    torch.testing.assert_close(new["running_var"], inputs.var(0))


def test_further_passes_take_every_sample_once_in_another_order() -> None:
    whole = Inputs((torch.arange(10),), {"also": torch.arange(10), "scale": torch.tensor(2.0)}, samples=10)
    first, second, again = shuffled(whole, 3, 0), shuffled(whole, 3, 1), shuffled(whole, 3, 1)
    assert torch.equal(first.args[0], whole.args[0])
    assert not torch.equal(second.args[0], whole.args[0]) and torch.equal(second.args[0].sort().values, whole.args[0])
    assert torch.equal(second.args[0], second.kwargs["also"]) and torch.equal(second.args[0], again.args[0])
    assert second.kwargs["scale"] is whole.kwargs["scale"]


def test_norms_of_every_configuration() -> None:
    model = norm_zoo.build()
    inputs = norm_zoo.example_input()
    found = estimate(model, inputs, batch=3)
    means = torch.stack([part.transpose(0, 1).reshape(8, -1).mean(1) for part in inputs.split(3)]).mean(0)
    for path in ("one.plain", "one.cumulative", "one.never_moves", "one.no_affine", "one.frozen"):
        np.testing.assert_allclose(at(found, path).mean_after.numpy(), means.numpy(), rtol=1e-5)
    instance = torch.stack([part.mean(2).mean(0) for part in inputs.split(3)]).mean(0)
    np.testing.assert_allclose(at(found, "one.instance_tracked").mean_after.numpy(), instance.numpy(), rtol=1e-5)
    toggled = at(found, "one.toggled")
    assert toggled.kept is not None and "one.toggled" not in found.buffers
    np.testing.assert_array_equal(toggled.mean_after.numpy(), toggled.mean_before.numpy())
    assert all(one.path != "one.untracked" for one in found.reply.norms)


def test_drift_is_measured_in_eval_before_and_after() -> None:
    model, inputs = digits().eval(), shifted(8)
    found = at(estimate(model, inputs, batch=8), "features.1")
    with torch.no_grad():
        seen = model.features[0](inputs)  # type: ignore[index, operator]
    norm = model.features[1]  # type: ignore[index]
    wanted = (seen.mean((0, 2, 3)) - norm.running_mean).abs() / norm.running_var.sqrt()
    assert found.drift_before is not None and found.drift_after is not None
    np.testing.assert_allclose(found.drift_before.numpy(), wanted.numpy(), rtol=1e-4)
    assert found.drift_before.numpy().max() > 0.5 and found.drift_after.numpy().max() < 1e-4


def test_outputs_and_accuracy_before_and_after() -> None:
    model = digits()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(5.0)  # type: ignore[union-attr]
            module.running_var.fill_(0.01)  # type: ignore[union-attr]
    inputs = digits_cnn.example_input()
    with torch.no_grad():
        labels = digits().eval()(inputs).argmax(1).tolist()
    _, info = fed(inputs, labels=labels)
    found = estimate(model, inputs, batch=8, info=info).reply
    assert found.measure == "softmax" and found.labelled == 8
    assert found.right_after == 8 > found.right_before
    with torch.no_grad():
        wanted = copy.deepcopy(model).eval()(inputs).softmax(1)
    np.testing.assert_allclose(found.before.numpy(), wanted.numpy(), atol=1e-5)
    moved = np.abs(found.after.numpy() - found.before.numpy()).sum(1).mean() / 2
    assert found.moved == pytest.approx(moved, abs=1e-5)


def test_what_to_mind_is_said() -> None:
    model, inputs = digits(), shifted(10)
    assert [note.id for note in estimate(model, inputs, batch=1).reply.notes] == ["estimate-one-sample"]
    (note,) = estimate(model, inputs, batch=4).reply.notes
    assert (note.id, note.values) == ("estimate-uneven", {"last": 2, "batch": 4})
    assert estimate(model, inputs, batch=5).reply.notes == []


def test_nothing_is_changed() -> None:
    model, inputs = digits(), shifted(10)
    model.features[1].eval()  # type: ignore[index, union-attr]
    before, flags = state(model), [module.training for module in model.modules()]
    momenta = [module.momentum for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    generator = torch.get_rng_state()
    estimate(model, inputs, passes=2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == flags
    assert [module.momentum for module in model.modules() if isinstance(module, nn.BatchNorm2d)] == momenta
    assert all(not module._forward_pre_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), generator)


def test_refusals() -> None:
    with pytest.raises(EngineError) as told:
        estimate(nn.Linear(4, 2), torch.randn(4, 4))
    assert told.value.clause is not None and told.value.clause.id == "nothing-to-re-estimate"
    with pytest.raises(EngineError, match="Expected more than 1 value"):
        estimate(nn.Sequential(nn.BatchNorm1d(4)), torch.randn(3, 4), batch=1)
    model = digits()
    with pytest.raises(Cancelled):
        command = ReEstimate(id=9, batch=4)
        reestimate(model, Inputs((shifted(),), samples=10), Rows(model), command, should_stop=lambda: True)


# ----------------------------------------------------------------------------------------------------------- the export


@pytest.mark.parametrize("name", ["new.pt", "new.safetensors", "new.pth"])
def test_the_exported_file_gives_in_eval_what_the_preview_promised(name: str, tmp_path: Path) -> None:
    model, inputs = digits(), shifted(10)
    before = state(model)
    found = estimate(model, inputs, batch=5)
    path = tmp_path / name
    exported = export(model, Rows(model), found, ExportCheckpoint(id=1, path=str(path), estimate=9), None)
    assert (exported.tensors, exported.layers, exported.bytes) == (len(before), 3, path.stat().st_size)
    loaded = load_file(path) if name.endswith("safetensors") else torch.load(path, weights_only=True)
    plain = digits_cnn.build()
    plain.load_state_dict(loaded)
    with torch.no_grad():
        promised = torch.cat([plain.eval()(part) for part in inputs.split(5)])
    assert found.reply.measure == "raw"
    np.testing.assert_allclose(found.reply.after.numpy(), promised.numpy(), rtol=1e-6)
    changed = {key for key in before if not torch.equal(before[key], loaded[key])}
    assert {key.rpartition(".")[2] for key in changed} == {"running_mean", "running_var", "num_batches_tracked"}
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_the_loaded_checkpoint_is_never_overwritten(tmp_path: Path) -> None:
    model = digits()
    found = estimate(model, shifted())
    original, link, other = tmp_path / "old.pt", tmp_path / "link.pt", tmp_path / "other.pt"
    original.write_bytes(b"old")
    other.write_bytes(b"other")
    link.symlink_to(original)

    def refused(path: Path, replace: bool) -> str:
        command = ExportCheckpoint(id=1, path=str(path), estimate=9, replace=replace)
        with pytest.raises(EngineError) as told:
            export(model, Rows(model), found, command, str(original))
        assert told.value.kind == "checkpoint" and told.value.clause is not None
        return told.value.clause.id

    assert refused(original, True) == refused(link, True) == "export-original"
    assert refused(other, False) == "export-exists"
    assert refused(tmp_path / "model.txt", False) == "export-suffix"
    assert refused(tmp_path / "no" / "such.pt", False) == "export-failed"
    assert original.read_bytes() == b"old" and other.read_bytes() == b"other"
    export(model, Rows(model), found, ExportCheckpoint(id=1, path=str(other), estimate=9, replace=True), str(original))
    assert torch.load(other, weights_only=True).keys() == model.state_dict().keys()


def test_a_shared_norm_is_repaired_under_each_of_its_names(tmp_path: Path) -> None:
    norm = nn.BatchNorm1d(4)
    model = nn.ModuleDict({"one": norm, "two": norm})
    model.forward = lambda inputs: model["one"](inputs)  # type: ignore[method-assign]
    found = estimate(model, torch.randn(8, 4) + 3, batch=8)
    path = tmp_path / "shared.safetensors"
    export(model, Rows(model), found, ExportCheckpoint(id=1, path=str(path), estimate=9), None)
    loaded = load_file(path)
    assert torch.equal(loaded["one.running_mean"], loaded["two.running_mean"]) and loaded["one.running_mean"].min() > 1
