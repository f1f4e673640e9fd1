"""Noise: reproducible, of the shape asked for, or of one that was guessed, tried without a trace and told."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from modelight.engine.errors import Cancelled, EngineError, never_stop, no_progress
from modelight.engine.loading import noise
from modelight.engine.loading.pieces import Piece
from modelight.protocol import Clause, Noise

CPU = torch.device("cpu")


def drawn(model: nn.Module, source: Noise | None = None) -> Piece:
    return noise.draw(source or Noise(), model, None, CPU, no_progress, never_stop)


class Reordered(nn.Module):
    """The layer registered first is called last."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(5, 2)
        self.conv = nn.Conv2d(4, 5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).mean((2, 3)))


class Flattened(nn.Module):
    """A convolutional net that takes pictures of one size alone: 28 × 28."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.drop = nn.Dropout()
        self.head = nn.Linear(2 * 13 * 13, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(functional.max_pool2d(self.norm(self.conv(x)), 2)).flatten(1))


class Waves(nn.Module):
    """Raw audio without a dimension for the channel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 2, 9)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        if wave.dim() != 2:
            raise ValueError("a wave is samples × time")
        return self.conv(wave[:, None])


class Main(nn.Module):
    main_input_name = "values"

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, other: torch.Tensor | None = None, values: torch.Tensor | None = None) -> torch.Tensor:
        assert values is not None and other is None
        return self.linear(values)


@pytest.mark.parametrize(
    ("model", "shape", "why"),
    [
        (nn.Conv2d(3, 2, 3), (3, 64, 64), "Conv2d(in_channels=3)"),
        (nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 3)), (2, 64, 64), "BatchNorm2d(num_features=2)"),
        (nn.Conv1d(8, 2, 3), (8, 64), "Conv1d(in_channels=8)"),
        (nn.Conv3d(2, 2, 3), (2, 16, 16, 16), "Conv3d(in_channels=2)"),
        (nn.Linear(7, 2), (7,), "Linear(in_features=7)"),
        (nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 1)), (6,), "BatchNorm1d(num_features=6)"),
        (nn.Sequential(nn.Embedding(30, 4), nn.Dropout()), (16,), "Embedding(num_embeddings=30)"),
        (nn.LSTM(5, 3, batch_first=True), (16, 5), "LSTM(input_size=5)"),
        (nn.TransformerEncoderLayer(8, 2, batch_first=True), (16, 8), "MultiheadAttention(embed_dim=8)"),
        (Reordered(), (4, 64, 64), "Conv2d(in_channels=4)"),
        (Flattened(), (1, 28, 28), "Conv2d(in_channels=1)"),
        (Waves(), (16000,), "Conv1d(in_channels=1)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), (192,), "Linear(in_features=192)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_guesses_a_shape_that_the_model_takes_and_says_so(model: nn.Module, shape: tuple[int, ...], why: str) -> None:
    piece = drawn(model, Noise(samples=3))
    assert piece.args[0].shape == (3, *shape)
    told = " × ".join(str(size) for size in shape)
    assert piece.notes[0] == Clause("shape-guessed", {"shape": told, "why": why})
    model(*piece.args)


def test_a_model_that_names_its_main_input_gets_it_by_name() -> None:
    piece = drawn(Main())
    assert piece.args == () and piece.kwargs["values"].shape == (4, 3)


def test_the_size_that_a_configuration_names_is_tried_first() -> None:
    model = nn.Conv2d(3, 2, 3)
    model.image_size = 48  # type: ignore[assignment]
    assert drawn(model).args[0].shape == (4, 3, 48, 48)


def test_trying_leaves_no_trace() -> None:
    model = Flattened().train()
    model.drop.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    states = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())  # type: ignore[index,union-attr]
    drawn(model)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert (model.training, model.drop.training, model.norm.training) == (True, False, True)
    assert all(not module._forward_pre_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # type: ignore[index]
    assert random.getstate() == states[2]


def test_a_lazy_model_is_not_shaped_by_a_guess() -> None:
    model = nn.Sequential(nn.LazyConv2d(2, 3), nn.LazyBatchNorm2d())
    assert drawn(model).args[0].shape == (4, 3, 64, 64)
    assert isinstance(model[0], nn.LazyConv2d) and model[0].has_uninitialized_params()


def test_trying_can_be_stopped() -> None:
    with pytest.raises(Cancelled):
        noise.draw(Noise(), Flattened(), None, CPU, no_progress, lambda: True)


def test_no_shape_that_fits_is_told_with_what_to_do() -> None:
    class Two(nn.Module):
        def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            return left + right

    class Picky(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("not like this")

    class Leaving(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise SystemExit("goodbye")

    with pytest.raises(EngineError, match=r"Two\.forward needs left, right: write a function example_input\(\)"):
        drawn(Two())
    with pytest.raises(EngineError, match=r"the last one failed with “not like this”\): give the shape"):
        drawn(Picky())
    with pytest.raises(EngineError, match="goodbye"):
        drawn(Leaving())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Noise(shape=(3,), seed=7), lambda g: torch.randn(4, 3, generator=g)),
        (Noise("uniform", (3,), 2, 7, -1.0, 3.0), lambda g: torch.rand(2, 3, generator=g) * 4 - 1),
        (Noise("constant", (2, 2), 1, 7, 5.0), lambda g: torch.full((1, 2, 2), 5.0)),
        (Noise("tokens", (6,), 2, 7, 2, 9), lambda g: torch.randint(2, 9, (2, 6), generator=g)),
    ],
)
def test_each_distribution_comes_back_with_its_seed(source: Noise, expected: Any) -> None:
    model = nn.Linear(3, 1)
    before = torch.get_rng_state()
    value = drawn(model, source).args[0]
    assert torch.equal(value, expected(torch.Generator().manual_seed(7)))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_of_tokens_gets_tokens_whatever_was_asked() -> None:
    piece = drawn(nn.Sequential(nn.Embedding(12, 3)), Noise("normal", (5,), 50))
    assert piece.args[0].dtype == torch.long
    assert (int(piece.args[0].min()), int(piece.args[0].max())) == (0, 11)
    assert piece.notes == (Clause("noise-tokens", {"low": 0, "high": 11}),)


@pytest.mark.parametrize(
    "source",
    [Noise(samples=0), Noise(shape=(0,)), Noise(shape=(10**6, 10**6)), Noise("tokens", (2,), 1, 0, 9, 5)],
)
def test_impossible_noise_is_told(source: Noise) -> None:
    with pytest.raises(EngineError) as caught:
        drawn(nn.Linear(2, 2), source)
    assert caught.value.kind == "input"


def transformers_models() -> list[Any]:
    import transformers as t

    small = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "hidden_size": 8}
    convolutions = {"conv_dim": (8, 8), "conv_stride": (5, 2), "conv_kernel": (10, 3), "num_feat_extract_layers": 2}
    return [
        (t.BertModel, t.BertConfig(vocab_size=50, **small), {"input_ids": ()}),
        (t.ViTModel, t.ViTConfig(image_size=20, patch_size=10, **small), {"pixel_values": (3, 20, 20)}),
        (
            t.Wav2Vec2Model,
            t.Wav2Vec2Config(num_conv_pos_embedding_groups=2, **convolutions, **small),
            {"input_values": (16000,)},
        ),
        (t.ResNetModel, t.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1]), {"pixel_values": (3, 64, 64)}),
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("index", range(4))
def test_models_of_transformers_get_their_main_input_by_name(index: int) -> None:
    kind, config, expected = transformers_models()[index]
    model = kind(config)
    piece = drawn(model, Noise(samples=2))
    for name, shape in expected.items():
        assert list(piece.kwargs) == [name]
        assert shape == () or tuple(piece.kwargs[name].shape) == (2, *shape)
    model(**piece.kwargs)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_layer_that_takes_time_first_is_named(kind: Callable[..., nn.Module]) -> None:
    told = [
        [note.values for note in drawn(nn.Sequential(kind(4, 3, batch_first=first))).notes if "time" in note.id]
        for first in (False, True)
    ]
    assert told == [[{"module": "0"}], []]
    behind_pictures = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(2), nn.Linear(62 * 62, 5))
    behind_pictures.attend = nn.MultiheadAttention(8, 2)
    behind_pictures.forward = lambda x: nn.Sequential.forward(behind_pictures[:3], x)
    for model in (nn.Linear(4, 3), behind_pictures):
        assert not [note for note in drawn(model).notes if "time" in note.id]
