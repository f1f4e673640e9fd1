"""Kinds told from tensors: each real layer of torch is recognised, and what cannot be told apart is not pretended."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from modelight.engine.inspect import kinds, tree
from modelight.phrases import phrase
from modelight.protocol import Clause


def guess(module: nn.Module, name: str = "layer") -> Clause:
    """The kind of a module that stands at ``name``, from its state dict alone."""
    tensors = {f"{name}.{key}": value for key, value in module.state_dict().items() if isinstance(value, torch.Tensor)}
    extras = [f"{name}.{key}" for key, value in module.state_dict().items() if not isinstance(value, torch.Tensor)]
    node = tree.build(tensors, extras).children[name]
    return kinds.kind_of(tree.own_of(node, tensors))


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Linear(5, 3), "Linear 5 → 3"),
        (nn.Linear(5, 3, bias=False), "Linear 5 → 3 without bias, or Embedding"),
        (nn.Conv1d(4, 6, 3), "Conv1d, 6 filters of 4 × 3"),
        (nn.Conv2d(3, 16, (5, 1)), "Conv2d, 16 filters of 3 × 5 × 1"),
        (nn.Conv3d(2, 4, 3), "Conv3d, 4 filters of 2 × 3 × 3 × 3"),
        (nn.Conv2d(8, 16, 3, groups=4), "Conv2d, 16 filters of 2 × 3 × 3"),
        (nn.Conv2d(8, 8, 3), "Conv2d or its transpose, 8 times 8 × 3 × 3"),
        (nn.Conv2d(3, 16, 3, bias=False), "Conv2d or its transpose, 16 times 3 × 3 × 3"),
        (nn.ConvTranspose2d(16, 8, 2), "ConvTranspose2d, 16 times 8 × 2 × 2"),
        (nn.BatchNorm1d(7), "BatchNorm of 7 channels, 1d, 2d or 3d unknown"),
        (nn.BatchNorm2d(7), "BatchNorm of 7 channels, 1d, 2d or 3d unknown"),
        (
            nn.InstanceNorm2d(7, track_running_stats=True),
            "BatchNorm or InstanceNorm of 7 channels without weight, 1d, 2d or 3d unknown",
        ),
        (nn.LayerNorm(9), "LayerNorm, GroupNorm or another norm without statistics, of 9"),
        (nn.GroupNorm(3, 9), "LayerNorm, GroupNorm or another norm without statistics, of 9"),
        (nn.InstanceNorm1d(9, affine=True), "LayerNorm, GroupNorm or another norm without statistics, of 9"),
        (nn.BatchNorm1d(9, track_running_stats=False), "LayerNorm, GroupNorm or another norm without statistics, of 9"),
        (nn.LayerNorm((4, 5)), "LayerNorm"),
        (nn.LayerNorm((4, 5, 6)), "LayerNorm"),
        (nn.RMSNorm(9), "RMSNorm or PReLU of 9, or a norm without bias"),
        (nn.PReLU(), "PReLU, or a scale"),
        (nn.LSTM(5, 8, 3), "LSTM 5 → 8, layers: 3"),
        (nn.LSTM(5, 8, proj_size=4), "LSTM 5 → 8, layers: 1"),
        (nn.GRU(5, 8, 2, bidirectional=True), "GRU 5 → 8, both ways, layers: 2"),
        (nn.RNN(5, 8), "RNN 5 → 8, layers: 1"),
        (nn.LSTMCell(5, 8), "LSTMCell 5 → 8"),
        (nn.GRUCell(5, 8), "GRUCell 5 → 8"),
        (nn.MultiheadAttention(16, 4), "MultiheadAttention of width 16, heads unknown"),
        (nn.MultiheadAttention(16, 4, kdim=8), "MultiheadAttention of width 16, heads unknown"),
        (parametrizations.weight_norm(nn.Linear(5, 3)), "Linear 5 → 3"),
        (parametrizations.spectral_norm(nn.Linear(5, 3)), "Linear 5 → 3"),
        (nn.utils.spectral_norm(nn.Linear(5, 3)), "Linear 5 → 3"),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)), "Sequential or ModuleList, 2 with tensors"),
        (nn.ModuleDict({"qkv": nn.Linear(4, 12), "proj": nn.Linear(4, 4)}), "attention, heads unknown"),
        (nn.ModuleDict({"one": nn.Linear(4, 12)}), "module"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_layers_of_torch_are_recognised(module: nn.Module, words: str) -> None:
    assert phrase(guess(module)) == words


def test_a_name_settles_what_shapes_cannot() -> None:
    assert phrase(guess(nn.Embedding(100, 8), "word_embeddings")) == "Embedding of 100, width 8"
    assert phrase(guess(nn.Linear(8, 4, bias=False), "q_proj")) == "Linear 8 → 4 without bias"
    assert phrase(guess(nn.Embedding(100, 8), "table")) == "Linear 8 → 100 without bias, or Embedding"


def test_integer_weights_are_never_taken_for_a_linear_layer() -> None:
    packed = nn.Module()
    packed.register_buffer("weight", torch.zeros(64, 1, dtype=torch.uint8))
    gptq = nn.Module()
    for name in ("qweight", "qzeros"):
        gptq.register_buffer(name, torch.zeros(4, 8, dtype=torch.int32))
    gptq.register_buffer("scales", torch.zeros(4, 8))

    assert phrase(guess(packed)) == "weights packed as uint8"
    assert phrase(guess(gptq)) == "Linear with packed integer weights (GPTQ or AWQ)"


def test_quantization_aware_training_leaves_its_observers() -> None:
    from torch.ao.quantization import FakeQuantize, MinMaxObserver

    assert guess(FakeQuantize()).id == "kind-fake-quantize"
    assert guess(MinMaxObserver()).id == "kind-observer"


@pytest.mark.parametrize("key", ["", ".", "..", "a..b", "." * 500, "a" * 3000, "weight", "x." * 3000 + "weight"])
def test_hostile_keys_make_a_tree(key: str) -> None:
    root = tree.build([key, "a.weight"])

    keys = [key for node, _ in tree.walk(root) for key in node.tensors.values()]
    assert sorted(keys) == sorted([key, "a.weight"])


def test_natural_order_puts_2_before_10() -> None:
    assert tree.natural(["b.10.w", "b.2.w", "a.w", "b.2.v"]) == ["a.w", "b.2.v", "b.2.w", "b.10.w"]
