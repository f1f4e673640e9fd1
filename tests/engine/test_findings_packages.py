"""Real architectures: silent in eval, and in train no more than what is true of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from modelight.engine.check import check

transformers = pytest.importorskip("transformers")
pytestmark = [pytest.mark.package, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

SMALL: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def bert() -> tuple[nn.Module, dict[str, torch.Tensor]]:
    config = transformers.BertConfig(vocab_size=80, **SMALL)
    return transformers.BertForSequenceClassification(config), {"input_ids": torch.randint(80, (3, 9))}


def gpt2() -> tuple[nn.Module, dict[str, torch.Tensor]]:
    config = transformers.GPT2Config(vocab_size=80, n_embd=32, n_layer=2, n_head=4, n_positions=16)
    return transformers.GPT2LMHeadModel(config), {"input_ids": torch.randint(80, (3, 9))}


def vit() -> tuple[nn.Module, dict[str, torch.Tensor]]:
    config = transformers.ViTConfig(image_size=16, patch_size=4, hidden_dropout_prob=0.1, **SMALL)
    return transformers.ViTForImageClassification(config), {"pixel_values": torch.randn(3, 3, 16, 16)}


def resnet() -> tuple[nn.Module, dict[str, torch.Tensor]]:
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    model = transformers.ResNetForImageClassification(config)
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        for _ in range(80):
            model.train()(images)
    return model, {"pixel_values": images}


@pytest.mark.parametrize("build", [bert, gpt2, vit, resnet])
def test_a_well_behaved_model_in_eval_is_left_alone(build: Any) -> None:
    torch.manual_seed(0)
    model, given = build()
    report = check(model.eval(), **given)
    assert report.status == 0, report.text()
    assert report.findings == []


@pytest.mark.parametrize(
    ("build", "expected"),
    [(bert, {"ML120", "ML130"}), (gpt2, {"ML120", "ML130"}), (vit, {"ML120", "ML130"})],
)
def test_in_train_the_dropouts_are_told_and_nothing_else(build: Any, expected: set[str]) -> None:
    torch.manual_seed(0)
    model, given = build()
    report = check(model.train(), **given)
    assert {finding.id for finding in report.findings} == expected
    assert all(one.cured for one in report.checked if one.finding.id == "ML120")


def test_a_residual_net_in_train_uses_the_batch() -> None:
    torch.manual_seed(0)
    model, given = resnet()
    report = check(model.train(), **given)
    assert {"ML110", "ML130"} <= {finding.id for finding in report.findings}
    assert report.checked[-1].finding.id == "ML130"
