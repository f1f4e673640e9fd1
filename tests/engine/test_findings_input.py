"""ML101 and ML150: does the output depend on the input, and on the batch-mates? And who must stay silent."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from modelight.engine.findings import company as company_rule
from modelight.phrases import findings as words
from modelight.sample_models import digits_cnn, text_transformer
from tests.engine.looking import digits, found, ids, look, trained


@pytest.fixture
def images() -> torch.Tensor:
    return digits_cnn.example_input()


def noise(count: int) -> torch.Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


# -------------------------------------------------------------------------------------------------------------- ML101


def test_the_incident_is_found_with_its_evidence(images: torch.Tensor) -> None:
    model = digits()
    before = copy.deepcopy(model.state_dict())
    among = look(model, torch.cat([images, noise(4)]), noise=4)
    finding = found("ML101", among)
    assert among[0] is finding
    assert (finding.severity, finding.module) == ("critical", "pool")
    values = finding.values
    assert (values["inputs"], values["noise"], values["culprit"], values["collapse"]) == (12, 4, "features.8", "pool")
    assert values["mean"] == pytest.approx(0.55, abs=0.01)
    assert values["std"] == pytest.approx(0.017, abs=0.004)
    assert values["eval_low"] == pytest.approx(0.0, abs=0.01)
    assert values["eval_high"] == pytest.approx(1.0, abs=0.01)
    assert finding.curve is not None
    assert finding.remedies[0].python == ["model.eval()"]
    assert words.title(finding) == "Output ignores the input"
    assert words.body(finding).splitlines()[:2] == [
        "12 inputs, 4 of them noise, all give class 0 at 0.55 ± 0.02.",
        "They stop differing at pool: in train, features.8 normalises a single sample by itself.",
    ]
    assert words.body(finding).endswith("Flipped to eval, the answers run from 0.00 to 1.00.")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_incident_is_found_with_gradients_on_too(images: torch.Tensor) -> None:
    assert "ML101" in ids(look(digits(), images, grad_mode="enabled"))


def test_one_frozen_norm_less_and_the_incident_is_still_told_from_the_layer(images: torch.Tensor) -> None:
    model = digits()
    model.get_submodule("features.1").eval()
    assert found("ML101", look(model, images)).values["culprit"] == "features.8"


def test_it_is_silent_once_cured(images: torch.Tensor) -> None:
    assert look(digits().eval(), images) == []
    model = digits()
    model.get_submodule("features.8").eval()
    assert "ML101" not in ids(look(model, images))


def test_it_is_silent_at_batch_8_where_the_batch_mates_are_named(images: torch.Tensor) -> None:
    among = look(digits(), images, batch=8)
    assert "ML101" not in ids(among)
    finding = found("ML150", among)
    assert finding.module == "features.1"
    assert finding.values["alone"] == pytest.approx(0.55, abs=0.02)
    assert finding.values["company"] == pytest.approx(1.0, abs=0.02)


def test_noise_alone_proves_nothing(images: torch.Tensor) -> None:
    assert "ML101" not in ids(look(digits(), noise(6), noise=6))
    assert "ML101" not in ids(look(digits(), torch.cat([images[:1], noise(3)]), noise=3))


def test_a_dead_model_is_not_blamed_on_train(images: torch.Tensor) -> None:
    model = digits()
    head = model.get_submodule("head")
    assert isinstance(head, nn.Linear)
    nn.init.zeros_(head.weight)
    assert "ML101" not in ids(look(model, images))


def test_a_dead_model_in_eval_is_left_alone(images: torch.Tensor) -> None:
    model = digits().eval()
    head = model.get_submodule("head")
    assert isinstance(head, nn.Linear)
    nn.init.zeros_(head.weight)
    assert look(model, images) == []


def test_a_model_constant_on_noise_in_eval_is_left_alone() -> None:
    assert "ML101" not in ids(look(digits().eval(), 1e-6 * noise(6), noise=6))


def test_dropout_that_drowns_nothing_is_not_taken_for_deafness() -> None:
    tokens = text_transformer.example_input()
    assert "ML101" not in ids(look(text_transformer.build().train(), tokens))


def test_eval_that_exaggerates_does_not_make_train_deaf() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    tensor = torch.randn(8, 6)
    trained(model, tensor)
    norm = model[1]
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.running_var is not None
    norm.running_var.mul_(1e-6)
    assert "ML101" not in ids(look(model.train(), tensor, batch=8))


def test_a_regression_is_told_in_its_own_values() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1))
    tensor = torch.randn(6, 1, 8, 8) + torch.linspace(-4, 4, 6).reshape(6, 1, 1, 1)
    finding = found("ML101", look(trained(model, tensor).train(), tensor))
    assert (finding.module, finding.values["culprit"], finding.values["reading"]) == ("2", "1", "value")
    assert "(value 0 of the output)" in words.body(finding)


# -------------------------------------------------------------------------------------------------------------- ML150


def test_statistics_that_were_never_tracked_mix_samples_in_eval() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4, track_running_stats=False), nn.Flatten(), nn.Linear(16, 2)
    )
    finding = found("ML150", look(model.eval(), torch.randn(5, 1, 6)))
    assert (finding.module, finding.values["mates"]) == ("1", 4)
    assert finding.remedies == []


def test_dropout_alone_is_no_company() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 32), nn.Dropout(0.5), nn.Linear(32, 3))
    assert "ML150" not in ids(look(model, torch.randn(5, 6)))


@pytest.mark.parametrize("runs", [2, 3, 8])
def test_chance_among_a_thousand_columns_is_no_company(runs: int) -> None:
    """Of many columns with a few runs each, some lie five estimated errors apart although nothing moved."""
    drawn = np.random.default_rng(1)
    for _ in range(20):
        alone, company = drawn.normal(size=(2, runs, 1000))
        assert not company_rule._apart(alone, company, 1e-5)


def test_company_that_shows_through_noise_is_told() -> None:
    alone, company = np.random.default_rng(1).normal(size=(2, 8, 100))
    company[:, 3] += 12
    assert company_rule._apart(alone, company, 1e-5)
    exact = np.zeros((2, 5))
    assert company_rule._apart(exact, exact + 1, 1e-5), "two runs are enough where nothing is random"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rounding_is_no_company(images: torch.Tensor, dtype: torch.dtype) -> None:
    assert "ML150" not in ids(look(digits().eval().to(dtype), images.to(dtype)))
