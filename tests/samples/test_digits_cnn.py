"""The incident, measured: these are the figures that the README states."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from modelight.sample_models import digits_cnn

RUNS = 16


@pytest.fixture
def model() -> nn.Module:
    model = digits_cnn.build()
    assert digits_cnn.CHECKPOINT is not None
    model.load_state_dict(torch.load(digits_cnn.CHECKPOINT, weights_only=True))
    return model


@pytest.fixture
def digits() -> torch.Tensor:
    return digits_cnn.example_input()


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def even(model: nn.Module, images: torch.Tensor, batch: int = 1, runs: int = RUNS) -> torch.Tensor:
    """Probability of class 0: runs × images, run ``i`` seeded with i."""
    answers = []
    for run in range(runs):
        torch.manual_seed(run)
        answers.append(torch.cat([model(part).softmax(1)[:, 0] for part in images.split(batch)]))
    return torch.stack(answers)


def test_it_is_the_network_of_the_design(model: nn.Module) -> None:
    assert sum(parameter.numel() for parameter in model.parameters()) == 14_274
    assert digits_cnn.example_labels() == [0, 1] * 4
    assert digits_cnn.example_captions() == list("41830765")


def test_in_train_every_single_input_scores_the_same_noise_too(
    model: nn.Module, digits: torch.Tensor, noise: torch.Tensor
) -> None:
    answers = even(model.train(), torch.cat([digits, noise]))
    assert answers.mean() == pytest.approx(0.548, abs=0.002)
    assert answers.std() == pytest.approx(0.017, abs=0.003)
    assert answers.mean(0).max() - answers.mean(0).min() < 0.02


def test_eval_answers_every_shown_digit_right(model: nn.Module, digits: torch.Tensor) -> None:
    answers = even(model.eval(), digits, runs=1)[0]
    assert [int(value < 0.5) for value in answers] == digits_cnn.example_labels()
    assert answers.min() < 0.01
    assert answers.max() > 0.99


def test_a_batch_of_eight_hides_the_incident(model: nn.Module, digits: torch.Tensor) -> None:
    answers = even(model.train(), digits, batch=8)
    labels = torch.tensor(digits_cnn.example_labels())
    assert ((answers < 0.5).long() == labels).float().mean() > 0.9
    assert answers.mean(0).std() > 0.4


def test_eval_is_right_for_held_out_digits(model: nn.Module) -> None:
    pytest.importorskip("sklearn")
    from modelight.sample_models import train_digits_cnn

    _, held = train_digits_cnn.load()
    assert train_digits_cnn.right(model.eval(), held).float().mean() > 0.95


@pytest.mark.slow
def test_the_script_reproduces_inputs_and_incident(tmp_path: Path, digits: torch.Tensor, noise: torch.Tensor) -> None:
    pytest.importorskip("sklearn")
    command = [sys.executable, "-m", "modelight.sample_models.train_digits_cnn", str(tmp_path)]
    report = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert float(report.split("%")[0]) > 95
    assert digits_cnn.CHECKPOINT is not None
    kept = torch.load(digits_cnn.CHECKPOINT, weights_only=True)
    again = torch.load(tmp_path / digits_cnn.CHECKPOINT.name, weights_only=True)
    with np.load(digits_cnn.INPUTS) as old, np.load(tmp_path / digits_cnn.INPUTS.name) as new:
        assert all(np.array_equal(old[name], new[name]) for name in old.files if name != "made_with")
    # The weights are the same bits only on processors of one maker: MKL sums in another order on others. The incident
    # is the same on all of them.
    assert {name: value.shape for name, value in kept.items()} == {name: value.shape for name, value in again.items()}
    trained = digits_cnn.build()
    trained.load_state_dict(again)
    single = even(trained.train(), torch.cat([digits, noise]))
    assert 0.5 < single.mean() < 0.6
    assert single.mean(0).max() - single.mean(0).min() < 0.03
    alone = even(trained.eval(), digits, runs=1)[0]
    assert [int(value < 0.5) for value in alone] == digits_cnn.example_labels()
