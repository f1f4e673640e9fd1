"""Gradients against plain autograd: who receives one and how large, which line cuts the graph, and no trace of it."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from modelight.engine.batches import Inputs
from modelight.engine.errors import Cancelled, EngineError
from modelight.engine.experiments.gradients import gradients
from modelight.engine.modules.rows import Rows
from modelight.protocol import AskGradients, GradientCut, Gradients, InputInfo, ModuleGradient
from modelight.sample_models import mixed_frozen

from .looking import digits, fed

HERE = __file__


def look(model: nn.Module, inputs: torch.Tensor, info: InputInfo | None = None, batch: int = 64) -> Gradients:
    fed_ = Inputs((inputs,), samples=len(inputs))
    return gradients(model, fed_, Rows(model), AskGradients(id=5, seed=1, batch=batch), info=info)


def at(found: Gradients, model: nn.Module, path: str) -> ModuleGradient:
    row = Rows(model).by_path(path)
    return next(one for one in found.modules if one.row == row)


class TwoLayers(nn.Module):
    """Two layers with something in between."""

    def __init__(self, between: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 3)
        self._between = between

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.second(self._between(self.first(inputs)))
        return logits


def line_of(function: object) -> int:
    return inspect.getsourcelines(function)[1]  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------- who receives


def test_norms_and_loss_are_those_of_plain_autograd() -> None:
    model = digits().eval()
    inputs, labels = torch.rand(6, 1, 8, 8), [0, 1, 1, 0, 1, 0]
    _, info = fed(inputs, labels=labels)
    found = look(model, inputs, info)
    plain = copy.deepcopy(model)
    loss = F.cross_entropy(plain(inputs), torch.tensor(labels))
    loss.backward()
    assert found.scalar is not None and found.scalar.id == "scalar-cross-entropy"
    assert found.value == pytest.approx(loss.item(), rel=1e-5)
    for path, module in plain.named_modules():
        norms = [each.grad.double().norm() for each in module.parameters() if each.grad is not None]
        wanted = math.sqrt(sum(float(norm) ** 2 for norm in norms)) if norms else None
        assert at(found, model, path).norm == (None if wanted is None else pytest.approx(wanted, rel=1e-4))
    assert (found.parameters, found.trainable, found.received, found.unreached) == (14, 14, 14, [])
    assert not found.cuts and found.train == 0 and found.eval > 0  # eval() stops no gradient


def test_without_labels_every_output_counts_with_a_sign_so_that_nothing_cancels() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.Softmax(dim=1))  # a plain sum is 1 per sample, whatever the weights
    found = look(model, torch.randn(5, 4))
    assert found.scalar is not None and found.scalar.id == "scalar-signs"
    assert found.zero == 0 and (at(found, model, "0").norm or 0.0) > 1e-3


def test_frozen_parameters_receive_none_and_frozen_norms_move_all_the_same() -> None:
    model = mixed_frozen.build()
    found = look(model, mixed_frozen.example_input())
    backbone, head = at(found, model, "backbone"), at(found, model, "head")
    assert (backbone.trainable, backbone.received, backbone.parameters) == (0, 0, 8)
    assert (head.trainable, head.received) == (2, 2)
    assert at(found, model, "backbone.4").moves == 3  # mean, variance and counter: in train
    assert at(found, model, "backbone.1").moves == 0  # in eval
    assert found.unreached == [] and found.cuts == []  # frozen is not cut off


def test_a_zero_gradient_is_told_from_none() -> None:
    model = TwoLayers(lambda hidden: hidden * 0.0)
    found = look(model, torch.randn(5, 4))
    assert at(found, model, "first").received == 2 and at(found, model, "first").zero == 2
    assert at(found, model, "second").zero == 1  # its weight sees zeros, its bias does not
    assert found.zero == 3


def test_nothing_trainable_and_no_output_with_grad_are_told_apart() -> None:
    model = nn.Linear(4, 3).requires_grad_(False)
    found = look(model, torch.randn(5, 4))
    assert found.problem is not None and found.problem.id == "nothing-trainable" and found.backward is None
    found = look(TwoLayers(torch.Tensor.detach), torch.randn(5, 4))
    assert found.problem is None  # the second layer still receives
    answers = nn.Sequential(nn.Linear(4, 3), ArgMax())
    found = look(answers, torch.randn(5, 4))
    assert found.problem is not None and found.problem.id == "no-output-requires-grad"
    assert [(cut.reason, cut.operator, cut.module, cut.count) for cut in found.cuts] == [("integer", "argmax", "1", 2)]
    assert at(found, answers, "1").cut and at(found, answers, "").cut and not at(found, answers, "0").cut


class ArgMax(nn.Module):
    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        return scores.argmax(dim=1)


# ----------------------------------------------------------------------------------------------------------- the cuts


def leaves_by_detach(hidden: torch.Tensor) -> torch.Tensor:
    return hidden.detach()


def leaves_by_data(hidden: torch.Tensor) -> torch.Tensor:
    return hidden.data


def leaves_by_round_trip(hidden: torch.Tensor) -> torch.Tensor:
    return hidden.long().float()


def leaves_by_item(hidden: torch.Tensor) -> torch.Tensor:
    return torch.full((len(hidden), 4), hidden.sum().item())


def leaves_by_no_grad(hidden: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return hidden * 2


def leaves_by_inference(hidden: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        doubled = hidden * 2
    return doubled.clone()


CUTS = {
    "detach": (leaves_by_detach, "detach", 1),
    "data": (leaves_by_data, "data", 1),
    "integer": (leaves_by_round_trip, "long", 1),
    "item": (leaves_by_item, "item", 1),
    "no_grad": (leaves_by_no_grad, "mul", 2),
    "inference_mode": (leaves_by_inference, "mul", 2),
}


@pytest.mark.parametrize("reason", CUTS)
def test_the_line_that_cuts_is_named(reason: str) -> None:
    function, operator, below = CUTS[reason]
    model = TwoLayers(function)
    found = look(model, torch.randn(5, 4))
    assert found.unreached == ["first.weight", "first.bias"]
    (cut,) = found.cuts
    wanted = GradientCut(
        reason,  # type: ignore[arg-type]
        operator,
        "",
        f"{HERE}:{line_of(function) + below}",
        1,
        ["first.weight", "first.bias"],
        2,
    )
    assert cut == wanted
    assert at(found, model, "second").received == 2 and at(found, model, "first").received == 0


def harmless(hidden: torch.Tensor) -> torch.Tensor:
    mask = hidden > 0
    logged = hidden.detach().mean().item()
    assert logged == logged
    return hidden * mask + torch.zeros_like(hidden)


def test_masks_and_logged_values_are_no_cuts() -> None:
    found = look(TwoLayers(harmless), torch.randn(5, 4))
    assert found.cuts == [] and found.received == 4


def test_layers_called_under_no_grad_are_cut_off_by_the_line_that_calls_them() -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), nn.Linear(4, 2)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                hidden = self.stem(inputs)
            logits: torch.Tensor = self.head(hidden)
            return logits

    model = Frozen()
    found = look(model, torch.randn(5, 4))
    line = line_of(Frozen.forward) + 2
    assert {(cut.reason, cut.module, cut.source) for cut in found.cuts} == {
        ("no_grad", "stem.0", f"{HERE}:{line}"),
        ("no_grad", "stem.1", f"{HERE}:{line}"),
    }
    assert at(found, model, "stem").grad_off and not at(found, model, "stem").cut and not at(found, model, "head").cut


def test_a_parameter_that_takes_no_part_is_unreached_and_not_cut() -> None:
    model = TwoLayers(lambda hidden: hidden)
    model.spare = nn.Linear(2, 2)  # type: ignore[assignment]
    found = look(model, torch.randn(5, 4))
    assert found.unreached == ["spare.weight", "spare.bias"] and found.cuts == []
    assert at(found, model, "spare").calls == 0


# ----------------------------------------------------------------------------------------------------- bytes and time


def test_saved_bytes_go_to_the_module_that_ran_and_add_up() -> None:
    model = digits().train()
    found = look(model, torch.rand(4, 1, 8, 8))
    assert found.autograd.kept > 0
    assert sum(one.saved for one in found.modules) + found.unowned == found.autograd.kept
    # ReLU saves its result: 16 maps of 8 × 8 in float32, for 4 samples.
    assert at(found, model, "features.2").saved == 4 * 16 * 8 * 8 * 4
    assert at(found, model, "features").saved == 0  # a container runs nothing itself


def test_ratios_have_a_spread_and_backward_costs_more_than_forward() -> None:
    found = look(digits().train(), torch.rand(8, 1, 8, 8))
    assert found.forward is not None and found.backward is not None
    for ratio in (found.forward, found.backward):
        assert 0 < ratio.low <= ratio.median <= ratio.high and ratio.pairs >= 3
    assert found.backward.median > found.forward.median
    assert found.milliseconds is not None and found.milliseconds > 0


# ----------------------------------------------------------------------------------------------------------- no trace


def test_gradients_buffers_and_generators_are_as_they_were() -> None:
    model = digits().train()
    kept = torch.full_like(model.head.weight, 7.0)  # type: ignore[union-attr, arg-type]
    model.head.weight.grad = kept  # type: ignore[union-attr]
    inputs = torch.rand(4, 1, 8, 8, requires_grad=True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    generator = torch.get_rng_state()
    found = look(model, inputs)
    assert found.received == 14
    assert model.head.weight.grad is kept and bool((kept == 7.0).all())  # type: ignore[union-attr]
    assert all(each.grad is None for name, each in model.named_parameters() if name != "head.weight")
    assert inputs.grad is None
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)


def test_a_model_that_raises_is_told_with_its_module() -> None:
    with pytest.raises(EngineError) as told:
        look(TwoLayers(lambda hidden: hidden[:, :2]), torch.randn(5, 4))
    assert told.value.kind == "run" and told.value.module == "second"


def test_it_can_be_cancelled() -> None:
    model = digits()
    inputs, _ = fed(torch.rand(4, 1, 8, 8))
    with pytest.raises(Cancelled):
        gradients(model, inputs, Rows(model), AskGradients(id=1), should_stop=lambda: True)
