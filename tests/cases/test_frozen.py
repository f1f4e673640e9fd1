"""Modes that code sets, keeps or loses: overridden train(), frozen layers, restoring with one flag for all."""

from __future__ import annotations

import copy

import torch
from torch import nn

import modelight
from modelight.engine.check import check
from modelight.phrases import findings as words
from tests.engine.looking import found, ids, look, trained


def vectors(samples: int = 6) -> torch.Tensor:
    return torch.randn(samples, 8, generator=torch.Generator().manual_seed(0))


# -------------------------------------------------------------------------------------------------- FCOS-PyTorch#24


class Detector(nn.Module):
    """Means to keep its backbone's norms in eval, and forgets what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
        self.head = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 2))

    def train(self, mode: bool = True) -> Detector:
        super().train(True)
        self.backbone.eval()
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.backbone(x))
        return scores


class Obedient(Detector):
    def train(self, mode: bool = True) -> Obedient:
        nn.Module.train(self, mode)
        self.backbone.eval()
        return self


def test_asked_for_eval_and_got_train() -> None:
    wrapped = nn.Sequential(trained(Detector(), vectors())).eval()
    among = look(wrapped, vectors(), batch=6)
    overridden = found("ML141", among)
    assert (overridden.module, overridden.values["type"], overridden.severity) == ("0", "Detector", "warning")
    got = found("ML142", among)
    assert (got.module, got.values["count"], got.values["first"]) == ("0", 2, "0.head.1")
    assert {"ML110", "ML120"} <= set(ids(among)), "and the consequences are told"


def test_a_train_that_hands_the_mode_on_is_no_finding() -> None:
    model = Obedient()
    model.train()
    with torch.no_grad():
        for _ in range(40):
            nn.Module.train(model)
            model(vectors())
    assert look(nn.Sequential(model).eval(), vectors()) == []


# ------------------------------------------------------------------------------------------------ ultralytics#17751


class Product(nn.Module):
    """Where train() means: begin to train."""

    started = 0

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(8, 2)

    def train(self, epochs: int = 100) -> Product:  # type: ignore[override]
        type(self).started += 1
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.net(x)
        return scores


def test_a_train_that_begins_to_train_is_warned_of_and_never_called() -> None:
    report = check(Product(), vectors())
    assert [(one.id, one.module, one.severity) for one in report.findings if one.id == "ML141"] == [
        ("ML141", "", "warning")
    ]
    with modelight.eval_mode(Product()) as model, torch.no_grad():
        model(vectors())
    modelight.observe(Product(), vectors())
    assert Product.started == 0
    assert "ML141" not in ids(look(nn.Linear(8, 2).eval(), vectors()))


# --------------------------------------------------------------------------------------------- gt-pyg#112, chemprop#952


def encoder_and_head() -> nn.Module:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU())
    encoder.requires_grad_(False)
    return nn.Sequential(encoder, nn.BatchNorm1d(8), nn.Linear(8, 2))


def test_frozen_by_requires_grad_and_the_statistics_drift_on() -> None:
    model = encoder_and_head()
    finding = found("ML111", look(model, vectors(), batch=6, grad_mode="enabled"))
    assert (finding.severity, finding.module, finding.values["layers"]) == ("warning", "0.1", 1)
    assert finding.remedies[0].paths == ["0.1"], "the layer that trains is left alone"
    assert "requires_grad=False does not freeze them. Eval does." in words.body(finding)
    moved = {entry.name for entry in modelight.observe(model, vectors()).ledger.entries}
    assert {"0.1.running_mean", "0.1.running_var"} <= moved
    model.get_submodule("0").eval()
    assert "ML111" not in ids(look(model, vectors(), batch=6, grad_mode="enabled"))


# ---------------------------------------------------------------------------------- Lightning#2551, #18930, #20105


def test_frozen_norms_revived_by_train_are_told_whoever_did_it() -> None:
    model = encoder_and_head()
    model.get_submodule("0").eval()
    model.train()  # the loop's own call at the beginning of an epoch
    finding = found("ML111", look(model, vectors(), batch=6))
    assert finding.module == "0.1"


def test_a_root_in_train_over_parts_in_eval_is_shown_as_mixed() -> None:
    model = encoder_and_head().eval()
    model.training = True
    told = check(model, vectors(), batch=6)
    assert (told.train, told.eval) == (1, 6)
    assert told.text().startswith("Sequential: 1 module in train, 6 in eval")


# ---------------------------------------------------------------------------------------------------- torchebm#303


class Sampler(nn.Module):
    """Samples in eval and comes back with one flag for all."""

    def __init__(self, careful: bool) -> None:
        super().__init__()
        self.careful = careful
        self.energy = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout(0.1), nn.Linear(8, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = {module: module.training for module in self.energy.modules()}
        self.energy.eval()
        sampled: torch.Tensor = self.energy(x)
        if self.careful:
            for module, mode in before.items():
                module.training = mode
        else:
            self.energy.train(before[self.energy])
        return sampled


def test_restoring_with_one_flag_recursed() -> None:
    model = Sampler(careful=False)
    model.energy[1].eval()
    finding = found("ML143", look(model, vectors()))
    assert (finding.severity, finding.module, finding.values["was"]) == ("warning", "energy.1", "eval")
    assert not model.energy[1].training, "looking put it back"
    bare = copy.deepcopy(model)
    with torch.no_grad():
        bare(vectors())
    assert bare.energy[1].training, "it is true"
    careful = Sampler(careful=True)
    careful.energy[1].eval()
    assert "ML143" not in ids(look(careful, vectors()))


def test_mixed_modes_come_back_exactly() -> None:
    model = encoder_and_head()
    model.get_submodule("0.1").eval()
    before = {name: module.training for name, module in model.named_modules()}
    with modelight.eval_mode(model):
        assert not any(module.training for module in model.modules())
    assert {name: module.training for name, module in model.named_modules()} == before
