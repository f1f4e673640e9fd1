"""Running statistics that are broken, stale, missing or not what their layer uses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import spectral_norm
from torch.optim.swa_utils import AveragedModel, update_bn

import modelight
from modelight.engine.loading import checkpoint
from modelight.engine.modules.rows import Rows
from modelight.phrases import findings as words
from modelight.phrases import phrase
from tests.engine.looking import found, ids, look, trained


def signals(samples: int = 8, at: float = 2.0) -> torch.Tensor:
    return at + 0.5 * torch.randn(samples, 3, 16, generator=torch.Generator().manual_seed(0))


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(3, 6, 3), nn.BatchNorm1d(6), nn.ReLU(), nn.Flatten(), nn.Linear(84, 2))


def norm_of(model: nn.Module, path: str = "1") -> nn.BatchNorm1d:
    layer = model.get_submodule(path)
    assert isinstance(layer, nn.BatchNorm1d)
    return layer


# ----------------------------------------------------------------------------------------- pytorch#1206, anomalib#2965


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_eval_is_constant_and_train_is_fine(broken: float) -> None:
    model = trained(net(), signals())
    variance = norm_of(model).running_var
    assert variance is not None
    variance[2] = broken
    finding = found("ML115", look(model, signals()))
    assert (finding.severity, finding.module) == ("critical", "1")
    assert "The layer normalises with them now." in words.body(finding)
    (mark,) = Rows(model).states()[Rows(model).by_path("1")].marks
    assert mark.values["tensor"] == "running_var", "and it is marked in the tree"
    model.train()
    hidden = found("ML115", look(model, signals(), batch=8))
    assert hidden.severity == "warning"
    assert torch.isfinite(modelight.observe(model, signals()).output).all(), "train hides it"
    assert "ML115" not in ids(look(trained(net(), signals()), signals()))


# ---------------------------------------------------------------------------------------- pytorch#20967, pytorch#37823


def test_tracking_that_was_toggled_late_is_told_by_what_the_layer_does() -> None:
    model = trained(net(), signals())
    layer = norm_of(model)
    layer.track_running_stats = False
    assert modelight.observe(model, signals()).norms["1"].uses == "running", "the buffers are still there"
    model.train()
    assert not modelight.observe(model, signals()).norms["1"].updates
    assert effect(model) == "batch stats"
    layer.track_running_stats = True
    layer.running_mean = layer.running_var = None
    model.eval()
    assert modelight.observe(model, signals()).norms["1"].uses == "batch", "the attribute says otherwise"
    assert effect(model) == "batch stats"
    assert found("ML150", look(model, signals())).module == "1"
    assert effect(net()) == "batch stats · updates"
    assert effect(net().eval()) == "running stats"


def effect(model: nn.Module, path: str = "1") -> str:
    rows = Rows(model)
    return ", ".join(phrase(clause) for clause in rows.states()[rows.by_path(path)].effect)


# ------------------------------------------------------------------------------------------------------ pytorch#15298


def test_momentum_0_never_moves_and_none_is_the_cumulative_average() -> None:
    told = {}
    for momentum in (0.0, None, 0.1):
        model = net()
        norm_of(model).momentum = momentum
        told[momentum] = (effect(model), modelight.observe(model, signals()).ledger)
    assert told[0.0][0] == "batch stats · never moves"
    assert told[None][0] == "batch stats · cumulative average"
    assert told[0.1][0] == "batch stats · updates"
    moved = {momentum: {entry.name for entry in ledger.entries} for momentum, (_, ledger) in told.items()}
    assert moved[0.0] == {"1.num_batches_tracked"}
    assert moved[None] == moved[0.1] == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}


# ------------------------------------------------------------------------------------------------- ignite#2590, swa#8


def test_averaged_weights_with_the_statistics_of_others() -> None:
    averaged = trained(net(), signals())
    later = net()
    with torch.no_grad():
        later[0].weight.mul_(6)
        later[0].bias.add_(8)  # type: ignore[union-attr, operator]
        for mine, theirs in zip(averaged.parameters(), later.parameters(), strict=True):
            mine.lerp_(theirs, 0.9)  # an average of parameters, as many write it: the buffers stay behind
    finding = found("ML114", look(averaged, signals()))
    assert (finding.severity, finding.module) == ("warning", "1")
    assert float(str(finding.values["median"])) > 3
    update_bn([signals()] * 20, averaged)
    assert "ML114" not in ids(look(averaged.eval(), signals()))


def test_averaged_weights_whose_statistics_never_saw_data() -> None:
    averaged = AveragedModel(net()).eval()
    finding = found("ML116", look(averaged, signals()))
    assert (finding.severity, finding.module) == ("warning", "module.1")
    update_bn([signals()] * 20, averaged)
    assert "ML116" not in ids(look(averaged.eval(), signals()))


# ------------------------------------------------------------------------------------------------------- pytorch#8430


def test_a_counter_missing_in_an_old_checkpoint_is_said_and_is_no_finding(tmp_path: Path) -> None:
    state = trained(net(), signals()).state_dict()
    del state["1.num_batches_tracked"]
    torch.save(state, tmp_path / "old.pt")
    model = net()
    report = checkpoint.load_into(model, tmp_path / "old.pt")
    assert report.missing == ["1.num_batches_tracked"]
    (note,) = report.notes
    assert "eval is not affected" in phrase(note)
    assert look(model.eval(), signals()) == []
    torch.save(trained(net(), signals()).state_dict(), tmp_path / "new.pt")
    assert checkpoint.load_into(net(), tmp_path / "new.pt").notes == []


# ------------------------------------------------------------------------------------------------------- pytorch#8208


class Restless(nn.Linear):
    """A spectral norm that iterates whatever the mode, as torch's first one did."""

    def __init__(self, inside: int, outside: int, always: bool) -> None:
        super().__init__(inside, outside)
        self.always = always
        self.register_buffer("u", nn.functional.normalize(torch.randn(outside), dim=0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.always or self.training:
            with torch.no_grad():
                v = nn.functional.normalize(self.weight.t() @ self.u, dim=0)
                self.u.copy_(nn.functional.normalize(self.weight @ v, dim=0))
        sigma = (self.weight.t() @ self.u).norm()
        return nn.functional.linear(x, self.weight / sigma, self.bias)


def test_a_spectral_norm_that_drifts_in_eval_is_told_by_the_ledger() -> None:
    torch.manual_seed(0)
    model, tensor = nn.Sequential(Restless(8, 8, always=True), nn.Linear(8, 2)).eval(), torch.randn(4, 8)
    finding = found("ML117", look(model, tensor))
    assert (finding.severity, finding.module, finding.values["first"]) == ("warning", "0", "0.u")
    seen = modelight.observe(model, tensor)
    assert [(entry.name, entry.restored) for entry in seen.ledger.entries] == [("0.u", True)]
    assert look(nn.Sequential(Restless(8, 8, always=False)).eval(), tensor) == []


def test_the_spectral_norm_of_today_rests_in_eval_and_moves_in_train() -> None:
    torch.manual_seed(0)
    model, tensor = nn.Sequential(spectral_norm(nn.Linear(8, 8)), nn.Linear(8, 2)), torch.randn(4, 8)
    assert found("ML118", look(model, tensor)).module == "0"
    assert look(model.eval(), tensor) == []
