"""Errors that are raised in train mode only are explained by the mode."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from modelight.engine.modules import explain
from modelight.phrases import phrase


class Detector(nn.Module):
    def forward(self, x: torch.Tensor, targets: object = None) -> torch.Tensor:
        if self.training and targets is None:
            raise ValueError("In training mode, targets should be passed")
        return x.reshape(-1, 3)


def raised(module: nn.Module, x: torch.Tensor) -> Exception:
    with pytest.raises((ValueError, RuntimeError)) as caught:
        module(x)
    return caught.value


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (nn.BatchNorm1d(3), torch.ones(1, 3)),
        (nn.BatchNorm2d(3), torch.ones(1, 3, 1, 1)),
        (nn.InstanceNorm1d(3), torch.ones(2, 3, 1)),
    ],
)
def test_one_value_per_channel(layer: nn.Module, x: torch.Tensor) -> None:
    clause = explain.failure(layer, raised(layer, x))
    assert clause is not None and clause.id == "raised-one-value" and type(layer).__name__ in phrase(clause)


def test_targets_that_only_train_wants() -> None:
    clause = explain.failure(Detector(), raised(Detector(), torch.ones(3)))
    assert clause is not None and clause.id == "raised-without-targets"
    assert str(clause.values["source"]).startswith(__file__)
    Detector().eval()(torch.ones(3))


def test_errors_that_the_mode_does_not_explain() -> None:
    linear = nn.Linear(2, 2)
    assert explain.failure(linear, raised(linear, torch.ones(3))) is None
    detector = Detector().eval()
    assert explain.failure(detector, raised(detector, torch.ones(4))) is None
    detector.train()
    with pytest.raises(RuntimeError) as caught:
        detector(torch.ones(4), targets=[])
    clause = explain.failure(detector, caught.value)
    assert clause is not None and clause.id == "raised-in-train"
