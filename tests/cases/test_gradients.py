"""Grad mode: inference tensors, threads, fused kernels; and what eval() has to do with any of it: nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

import modelight
from modelight.engine.modules.rows import Rows
from modelight.phrases import findings as words
from modelight.phrases import phrase
from tests.engine.looking import found, ids, look


def vectors() -> torch.Tensor:
    return torch.randn(4, 8, generator=torch.Generator().manual_seed(0))


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2)).eval()


# ---------------------------------------------------------------------------------------- dinov2#472, diffusers#1658


def test_outputs_of_inference_mode_are_told_as_such() -> None:
    finding = found("ML160", look(mlp(), vectors(), grad_mode="inference_mode"))
    assert (finding.severity, finding.module, finding.values["tensors"]) == ("info", None, 1)
    assert "raise in backward" in words.body(finding)
    for mode in ("no_grad", "enabled"):
        assert "ML160" not in ids(look(mlp(), vectors(), grad_mode=mode))  # type: ignore[arg-type]


def test_weights_made_under_inference_mode_stop_the_training_that_comes_later() -> None:
    with torch.inference_mode():
        one, deep = nn.Linear(8, 2).eval(), mlp()
    for mode, severity in (("no_grad", "info"), ("enabled", "warning")):
        finding = found("ML160", look(one, vectors(), grad_mode=mode))  # type: ignore[arg-type]
        assert (finding.severity, finding.module, finding.values["names"]) == (severity, "", ["weight", "bias"])
    raised = look(deep, vectors(), grad_mode="enabled")[0]
    assert (raised.id, raised.severity, raised.values["tensors"]) == ("ML160", "critical", 4)
    assert words.body(raised).endswith("With gradients on, the forward itself raises.")
    with pytest.raises(RuntimeError, match="nference tensor"):
        deep(vectors())


# ------------------------------------------------------------------------------------------------------ pytorch#20528


class Parallel(nn.Module):
    """Runs its part in a thread of a pool, where grad mode begins as on."""

    def __init__(self, careful: bool) -> None:
        super().__init__()
        self.part, self.careful = nn.Linear(8, 2), careful

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mode = torch.is_grad_enabled() if self.careful else True

        def work() -> torch.Tensor:
            with torch.set_grad_enabled(mode):
                scores: torch.Tensor = self.part(x)
                return scores

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(work).result()


def test_grad_mode_is_per_thread() -> None:
    finding = found("ML131", look(Parallel(careful=False).eval(), vectors()))
    assert (finding.severity, finding.module) == ("info", "")
    assert "grad mode is per thread" in words.body(finding)
    assert modelight.observe(Parallel(careful=False), vectors()).output.requires_grad
    assert look(Parallel(careful=True).eval(), vectors()) == []


# -------------------------------------------------------------------------------- pytorch#128413, #132700, #86120


def test_a_fused_path_keeps_its_inner_layers_silent_and_is_named() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    model, tensor = nn.TransformerEncoder(layer, 2).eval(), torch.randn(3, 5, 8)
    seen = modelight.observe(model, tensor)
    (note,) = [clause for clause in seen.notes if clause.id == "slow-path"]
    assert note.values["modules"] == 18
    assert 0 < float(str(note.values["distance"])) < 1e-5, "the slow path gives other numbers, and says how far"
    assert torch.equal(seen.output, bare(model, tensor)), "the run itself is left on the fast path"
    rows = Rows(model)
    effects = [phrase(clause) for clause in rows.states()[rows.by_path("layers.0")].effect]
    assert any(effect.startswith("fused path") for effect in effects)
    assert look(model, tensor) == [], "it is no finding"
    model.train()
    assert not [clause for clause in modelight.observe(model, tensor).notes if clause.id == "slow-path"]


def bare(model: nn.Module, tensor: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        output: torch.Tensor = model(tensor)
    return output


# ------------------------------------------------------------------------------------------------- wrong beliefs


def test_eval_changes_nothing_about_gradients() -> None:
    told = {}
    for mode in (True, False):
        model = mlp().train(mode)
        found_ = found("ML130", look(model, vectors(), grad_mode="enabled"))
        assert words.body(found_).endswith("eval() does not stop that; no_grad() does.")
        told[mode] = (found_.values["kept"], modelight.observe(model, vectors(), grad_mode="enabled"))
    assert told[True][0] == told[False][0] == 32, "Tanh keeps its eight values, whatever the mode"
    assert told[False][1].output.requires_grad
    assert told[False][1].autograd == told[True][1].autograd
