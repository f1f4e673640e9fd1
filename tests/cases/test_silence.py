"""What must not be said: negative controls, and widely believed sentences that are wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modelight.engine.batches import Inputs
from modelight.engine.check import check
from modelight.engine.experiments import matrix
from modelight.engine.loading import opening
from modelight.engine.modules.rows import Rows
from modelight.phrases import checkpoints, effects, findings, notes
from modelight.protocol import Open
from modelight.sample_models import digits_cnn
from tests.engine.looking import digits, ids, look, trained

ROOT = Path(__file__).resolve().parent.parent.parent


def vectors(samples: int = 4) -> torch.Tensor:
    return torch.randn(samples, 8, generator=torch.Generator().manual_seed(0))


def mixed(p: float = 0.3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(p), nn.Linear(16, 3))


# ------------------------------------------------------------------------------------------------- negative controls


@pytest.mark.parametrize("batch", [1, 8])
def test_a_well_trained_model_in_eval(batch: int) -> None:
    report = check(digits().eval(), digits_cnn.example_input(), batch=batch)
    assert (report.status, report.findings) == (0, [])
    assert look(trained(mixed(), vectors()), vectors()) == []


@pytest.mark.parametrize("mode", [True, False])
def test_dropouts_at_p_0(mode: bool) -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.0), nn.Dropout1d(0.0), nn.AlphaDropout(0.0)).train(mode)
    assert look(model, vectors()) == []


class Prenet(nn.Module):
    """As in Tacotron 2: its dropout is on in synthesis, too, and the code says so."""

    def __init__(self, said: str) -> None:
        super().__init__()
        self.layer, self.said = nn.Linear(8, 8), said

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.layer(x))
        if self.said == "by position":
            return F.dropout(x, 0.5, True)
        return F.dropout(
            x,
            p=0.5,
            training=True,
        )


class KeepsOn(nn.Module):
    """The same as a layer that the class switches on again after it has handed the mode on."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.drop = nn.Linear(8, 8), nn.Dropout(0.5)

    def train(self, mode: bool = True) -> KeepsOn:
        super().train(mode)
        self.drop.train()
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.drop(self.layer(x))
        return y


@pytest.mark.parametrize("prenet", [Prenet("by position"), Prenet("by name"), KeepsOn()])
def test_dropout_in_a_prenet_by_design(prenet: nn.Module) -> None:
    model = nn.Sequential(prenet, nn.Linear(8, 2)).eval()
    assert look(model, vectors(8)) == []


def test_a_prenet_whose_dropout_the_script_switched_on_is_information_at_most() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2)).eval()
    model[1].train()
    report = check(model, vectors())
    assert report.status == 0
    assert {finding.severity for finding in report.findings} == {"info"}


def test_a_head_that_was_put_on_after_eval_is_no_design() -> None:
    model = nn.Sequential(nn.Linear(8, 8)).eval()
    model.append(nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)))
    assert "ML120" in ids([one for one in look(model, vectors()) if one.severity == "warning"])


def test_a_model_that_was_pickled_in_eval_needs_no_call_of_eval(tmp_path: Path) -> None:
    torch.save(trained(mixed(), vectors()), tmp_path / "whole.pt")
    model = opening.open_model(Open(id=1, spec=str(tmp_path / "whole.pt"), directory=str(tmp_path), trust=True))
    report = check(model.module, vectors())
    assert (report.status, report.findings, report.train) == (0, [], 0)


def test_a_model_that_is_constant_on_noise_in_eval() -> None:
    noise = 1e-5 * torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    model = digits().eval()
    with torch.no_grad():
        assert model(noise).softmax(1).std(0).max() < 1e-3
    assert look(model, noise, noise=6) == []


# ------------------------------------------------------------------------------------------------------ wrong beliefs

WRONG = (
    r"no_grad(\(\))? (switches|puts|sets|turns|disables|stops)[^.]*(dropout|batch norm|eval|test mode)",
    r"eval(\(\))? (stops|disables|turns off|switches off|prevents)[^.]*(gradient|autograd|graph)",
    r"in eval,? nothing is (stored|kept|saved)",
    r"requires_grad ?= ?False (freezes|stops|fixes)[^.]*(statistics|batch norm)",
)


def texts() -> list[tuple[str, str]]:
    tables = (checkpoints, effects, findings, notes)
    said = [(id_, text) for table in tables for id_, text in table.PHRASES.items()]
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    return said + [(str(page.relative_to(ROOT)), " ".join(page.read_text("utf-8").split())) for page in pages]


@pytest.mark.parametrize("belief", WRONG)
def test_no_text_repeats_a_wrong_belief(belief: str) -> None:
    wrong = re.compile(belief, re.IGNORECASE)
    found = [(where, hit.group()) for where, text in texts() for hit in wrong.finditer(text.replace("`", ""))]
    assert [(where, hit) for where, hit in found if not re.search(r"\b(neither|not|nor)\b", hit)] == []


def test_the_patterns_would_catch_them() -> None:
    for belief, sentence in zip(
        WRONG,
        (
            "no_grad switches dropout and batch norm to test mode",
            "eval() disables the gradient",
            "In eval nothing is stored for backward",
            "requires_grad=False freezes batch norm",
        ),
        strict=True,
    ):
        assert re.search(belief, sentence, re.IGNORECASE)


def test_the_matrix_shows_that_eval_and_no_grad_are_independent() -> None:
    model, tensor = trained(mixed(), vectors()), vectors()
    told = matrix.compare(model, Inputs((tensor,), {}, len(tensor)), Rows(model), seed=0, batch=4, runs=4)
    assert told.columns_exact, "grad mode alone changes no answer"
    assert not told.rows_exact and told.moved is not None and told.moved > 0, "the mode does"
    kept = {(cell.training, cell.grad_mode): cell.kept_bytes for cell in told.cells}
    moves = {(cell.training, cell.grad_mode): cell.would_move for cell in told.cells}
    for mode in ("enabled", "no_grad", "inference_mode"):
        assert moves[True, mode] == 3 and moves[False, mode] == 0, "no_grad does not stop statistics; eval does"
    assert kept[False, "enabled"] > 0, "in eval there is something to keep for backward"
    assert kept[True, "no_grad"] == kept[False, "no_grad"] == 0
