"""ML120 to ML124: dropouts that are on, randomness in eval, and dropout without effect."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modelight.phrases import findings as words
from modelight.sample_models import drop_path_net, hidden_dropout, tagger_lstm, text_transformer
from tests.engine.looking import found, ids, look


def mlp(p: float = 0.5) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 64), nn.Dropout(p), nn.Linear(64, 3))


def vectors() -> torch.Tensor:
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(0))


# -------------------------------------------------------------------------------------------------------------- ML120


def test_a_dropout_that_is_on_is_counted_over_all_runs() -> None:
    finding = found("ML120", look(mlp(), vectors()))
    assert (finding.module, finding.values["modules"], finding.values["runs"]) == ("1", 1, 40)
    assert finding.values["total"] == 40 * 64
    assert finding.values["observed"] == pytest.approx(0.5, abs=0.06)
    assert finding.remedies[0].paths == ["1"]
    assert words.title(finding) == "1 dropout is on"
    assert words.body(finding).startswith("1 drops ")
    assert words.body(finding).endswith("nominal is 50\u00a0%.")


def test_a_dropout_that_happened_to_keep_all_is_on_all_the_same() -> None:
    finding = found("ML120", look(nn.Sequential(nn.Dropout(1e-6)), vectors()))
    assert (finding.module, finding.values["dropped"]) == ("0", 0)


def test_grad_off_and_modules_drop() -> None:
    among = look(text_transformer.build(), text_transformer.example_input(), grad_mode="inference_mode")
    assert found("ML120", among).values["modules"] == 8
    off = found("ML130", among)
    assert off.values["modules"] == 8
    assert words.body(off).startswith("inference_mode stops neither dropout nor batch statistics: 8 modules")


def test_dropout_between_lstm_layers_is_a_dropout() -> None:
    words_ = tagger_lstm.example_input()["words"]
    finding = found("ML120", look(tagger_lstm.build(), words_))
    assert (finding.module, finding.values["p"]) == ("lstm", 0.4)


@pytest.mark.parametrize("model", [mlp().eval(), mlp(p=0.0), mlp(p=0.0).eval()])
def test_dropouts_in_eval_or_at_p_0_are_not_on(model: nn.Module) -> None:
    assert look(model, vectors()) == []


def test_wide_masks_are_counted_whole_or_in_one_run() -> None:
    """Single units are counted up to 4096 columns; a figure of those alone would pass for one of all values."""
    finding = found("ML120", look(nn.Sequential(nn.Linear(6, 5000), nn.Dropout(0.5)), vectors(), batch=len(vectors())))
    assert (finding.values["total"], finding.values["runs"]) == (5000 * len(vectors()), 1)


# --------------------------------------------------------------------------------------------------- ML121, 122, 140


def line_of(text: str) -> str:
    """``file:line`` of the first line of the sample that holds ``text``."""
    file = Path(hidden_dropout.__file__)
    number = next(
        at for at, line in enumerate(file.read_text("utf-8").splitlines(), 1) if text in line and "``" not in line
    )
    return f"{file}:{number}"


@pytest.mark.parametrize(
    ("id_", "module", "code"),
    [
        ("ML121", "functional", "F.dropout(x, 0.2)"),
        ("ML121", "made_inside", "nn.Dropout(0.3)(x)"),
        ("ML122", "attention", "F.scaled_dot_product_attention(x, x, x"),
    ],
)
@pytest.mark.parametrize("mode", [True, False])
def test_dropout_that_eval_does_not_stop_is_found_with_its_line(id_: str, module: str, code: str, mode: bool) -> None:
    among = look(hidden_dropout.build().train(mode), hidden_dropout.example_input())
    (finding,) = [finding for finding in among if finding.id == id_ and finding.module == module]
    assert finding.values["source"] == line_of(code)
    assert 0 < int(str(finding.values["dropped"])) < int(str(finding.values["total"]))


class Follows(nn.Module):
    """Functional dropout as it should be."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.dropout(x, 0.5, training=self.training)
        q = x.unsqueeze(1)
        return F.scaled_dot_product_attention(q, q, q, dropout_p=0.5 if self.training else 0.0).squeeze(1)


@pytest.mark.parametrize("mode", [True, False])
def test_functional_dropout_that_follows_the_flag_is_left_alone(mode: bool) -> None:
    among = look(nn.Sequential(nn.Linear(6, 6), Follows()).train(mode), vectors())
    assert not {"ML121", "ML122", "ML123"} & set(ids(among))


# -------------------------------------------------------------------------------------------------------------- ML123


def test_drop_path_in_eval_is_named_with_the_block_and_the_generator() -> None:
    finding = found("ML123", look(drop_path_net.build(), drop_path_net.example_input()))
    assert (finding.module, finding.values["generators"]) == ("1", ["torch"])
    assert str(finding.values["source"]).startswith(str(drop_path_net.__file__))


class Jitter(nn.Module):
    """Noise from a generator that is not torch's."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        drawn = float(np.random.normal()) if self.source == "numpy" else random.random()
        return x + 0.1 * drawn


@pytest.mark.parametrize("source", ["numpy", "random"])
def test_randomness_from_elsewhere_is_named(source: str) -> None:
    model = nn.Sequential(nn.Linear(6, 4), Jitter(source), nn.Linear(4, 2)).eval()
    finding = found("ML123", look(model, vectors()))
    assert (finding.module, finding.values["generators"]) == ("1", [source])


class Remembers(nn.Module):
    """Adds what it gave last time."""

    def __init__(self) -> None:
        super().__init__()
        self.cache: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x if self.cache is None else x + self.cache
        self.cache = x.detach()
        return x


def test_memory_of_earlier_runs_is_not_called_random() -> None:
    finding = found("ML123", look(nn.Sequential(nn.Linear(6, 4), Remembers()).eval(), vectors(), batch=len(vectors())))
    assert finding.values["title"] == "ML123.title.remembers"
    assert finding.values["left"] == ["1.cache"]


def test_a_model_that_repeats_itself_in_eval_is_not_random() -> None:
    among = look(text_transformer.build(), text_transformer.example_input())
    assert "ML123" not in ids(among)
    assert look(text_transformer.build().eval(), text_transformer.example_input()) == []


# -------------------------------------------------------------------------------------------------------------- ML124


class Unused(nn.Module):
    """A dropout that forward passes by."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 2)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.head(x)
        return y


def test_mc_dropout_without_variance_is_found() -> None:
    model = Unused().eval()
    model.drop.train()
    finding = found("ML124", look(model, vectors()))
    assert (finding.module, finding.severity) == ("drop", "info")
    assert "ML124" not in ids(look(mlp(), vectors()))
    assert look(Unused().eval(), vectors()) == []


def test_where_some_masks_are_not_seen_the_figure_is_of_the_others_and_says_so() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.drop = nn.LSTM(4, 4, num_layers=2, dropout=0.3, batch_first=True), nn.Dropout(0.5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.drop(self.lstm(x)[0])

    finding = found("ML120", look(Two(), torch.randn(4, 6, 4), grad_mode="inference_mode"))
    assert (finding.values["modules"], finding.values["unseen"]) == (2, 1)
    assert "Of 1 dropout more the masks are not seen here." in words.body(finding)
