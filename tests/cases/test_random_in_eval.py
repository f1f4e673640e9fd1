"""The same input, another answer, although eval() was called."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import modelight
from modelight.engine.modules import modes
from modelight.engine.modules.rows import Rows
from modelight.phrases import findings as words
from tests.engine.looking import found, ids, look

LINES = Path(__file__).read_text("utf-8").splitlines()


def line_of(text: str) -> str:
    """``file:line`` of the first line here that holds ``text``."""
    return f"{__file__}:{next(at for at, line in enumerate(LINES, 1) if text in line)}"


def vectors(samples: int = 4) -> torch.Tensor:
    return torch.randn(samples, 8, generator=torch.Generator().manual_seed(0))


# ------------------------------------------------------------------ pytorch#26338, pytorch-fm#21, pytorch_DANN#14


class Careless(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(torch.relu(self.layer(x)), 0.25)  # on by default


class Careful(Careless):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(torch.relu(self.layer(x)), 0.25, self.training)


@pytest.mark.parametrize("mode", [True, False])
def test_functional_dropout_is_on_whatever_the_flag(mode: bool) -> None:
    model = nn.Sequential(Careless(), nn.Linear(8, 2)).train(mode)
    finding = found("ML121", look(model, vectors()))
    assert (finding.severity, finding.module, finding.values["p"]) == ("warning", "0", 0.25)
    assert finding.values["source"] == line_of("# on by default")
    assert finding.remedies[0].python == ["training=self.training"]
    assert "ML123" not in ids(look(model, vectors())), "it is explained"


@pytest.mark.parametrize("mode", [True, False])
def test_functional_dropout_that_follows_the_flag_is_as_it_should_be(mode: bool) -> None:
    model = nn.Sequential(Careful(), nn.Linear(8, 2)).train(mode)
    assert not {"ML121", "ML123"} & set(ids(look(model, vectors())))


# -------------------------------------------------------------------- pytorch#124464, nanoGPT#240, wenet#2699


class Attends(nn.Module):
    def __init__(self, careful: bool) -> None:
        super().__init__()
        self.careful = careful
        self.split = nn.Linear(8, 24)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(x).unsqueeze(1).chunk(3, -1)
        p = 0.4 if self.training or not self.careful else 0.0
        return F.scaled_dot_product_attention(q, k, v, dropout_p=p).squeeze(1)


@pytest.mark.parametrize("mode", [True, False])
def test_attention_has_no_training_flag(mode: bool) -> None:
    model = nn.Sequential(Attends(careful=False), nn.Linear(8, 2)).train(mode)
    finding = found("ML122", look(model, vectors(16)))
    assert (finding.severity, finding.module, finding.values["p"]) == ("warning", "0", pytest.approx(0.4))
    assert finding.values["source"] == line_of("scaled_dot_product_attention(q")
    assert "It has no training flag" in words.body(finding)
    assert "ML122" not in ids(look(nn.Sequential(Attends(careful=True)).train(mode), vectors(16)))


# -------------------------------------------------------------------------------------------- Swin-Transformer#7


class SkipsAtRandom(nn.Module):
    """A drop path that forgot its flag."""

    def __init__(self, follows: bool) -> None:
        super().__init__()
        self.follows = follows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.follows and not self.training:
            return x
        kept = torch.rand(len(x), 1, device=x.device) < 0.7
        return x * kept / 0.7


class Residual(nn.Module):
    def __init__(self, follows: bool) -> None:
        super().__init__()
        self.layer, self.path = nn.Linear(8, 8), SkipsAtRandom(follows)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = x + self.path(self.layer(x))
        return y


def test_two_equal_runs_part_first_at_the_drop_path() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(Residual(True), Residual(False), nn.Linear(8, 2)).eval()
    finding = found("ML123", look(model, vectors(8)))
    assert (finding.severity, finding.module) == ("warning", "1.path")
    assert finding.values["generators"] == ["torch"]
    model[1] = Residual(True)
    assert look(model.eval(), vectors(8)) == []


# --------------------------------------------------------------------------------------- mt-dnn#45, pytorch#23309


class Heads(nn.Module):
    """One dropout per task, in a list that nobody looks into."""

    def __init__(self, container: type) -> None:
        super().__init__()
        self.drops = container([nn.Dropout(0.3), nn.Dropout(0.3)])
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.drops[0](x))
        return scores


def test_modules_in_a_plain_list_never_switch() -> None:
    model = Heads(list).eval()
    finding = found("ML140", look(model, vectors()))
    assert (finding.severity, finding.module) == ("warning", "")
    assert (finding.values["attribute"], finding.values["count"], finding.values["sensitive"]) == ("drops", 2, 2)
    assert finding.values["training"] == 2, "they are in train although the model is in eval"
    assert finding.remedies[0].python == ["self.drops = nn.ModuleList(self.drops)"]
    assert look(Heads(nn.ModuleList).eval(), vectors()) == []


# --------------------------------------------------------------------------------------------------- SalsaNext#40


class Uncertain(nn.Module):
    """Two dropouts: one in the way of the signal, one that forward passes by when asked to."""

    def __init__(self, uses: bool) -> None:
        super().__init__()
        self.uses = uses
        self.layer, self.norm, self.drop, self.head = (
            nn.Linear(8, 32),
            nn.BatchNorm1d(32),
            nn.Dropout(0.2),
            nn.Linear(32, 2),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.layer(x))
        scores: torch.Tensor = self.head(self.drop(x) if self.uses else x)
        return scores


@pytest.mark.parametrize("uses", [True, False])
def test_mc_dropout_switches_on_dropouts_alone_and_says_which_really_drop(uses: bool) -> None:
    torch.manual_seed(0)
    model = Uncertain(uses)
    rows = Rows(model)
    modes.apply_preset(rows, "mc_dropout")
    assert {name for name, module in model.named_modules() if module.training} == {"drop"}
    seen = modelight.observe(model, vectors(64), seed=0)
    dropping = [drop.path for drop in seen.dropouts if drop.active and drop.observed]
    assert dropping == (["drop"] if uses else [])
    among = look(model, vectors())
    assert ("ML124" in ids(among)) is not uses
    assert ("ML120" in ids(among)) is uses
    finding = found("ML120" if uses else "ML124", among)
    assert (finding.module, finding.severity) == ("drop", "info")
