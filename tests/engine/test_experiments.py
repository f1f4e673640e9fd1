"""Experiments, against figures worked out with torch alone."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from modelight.engine.batches import Inputs
from modelight.engine.errors import Cancelled, EngineError
from modelight.engine.experiments import Trials, all_flags, flips, same_answer, spread_curve
from modelight.engine.experiments.answers import Answers, answers, as_probabilities, rows_of, softmax
from modelight.engine.experiments.parting import close, first_parting
from modelight.engine.modules.rows import Rows
from modelight.sample_models import digits_cnn, drop_path_net, text_transformer
from tests.engine.looking import digits, fed


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(model.state_dict())


def unchanged(model: nn.Module, before: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# ------------------------------------------------------------------------------------------------------------- trials


def test_a_trial_gives_what_a_bare_seeded_forward_gives() -> None:
    model = digits()
    images = digits_cnn.example_input()
    trials = Trials(model, Rows(model))
    ((name, tensor),) = trials.forward(Inputs((images,), {}, 8).part(0, 4), seed=3)
    torch.manual_seed(3)
    with torch.no_grad():
        bare = copy.deepcopy(model)(images[:4])
    assert name == ""
    assert torch.equal(tensor, bare)


def test_a_trial_leaves_no_trace() -> None:
    model = digits()
    before, rng = state(model), torch.get_rng_state()
    flags = all_flags(Rows(model), False)
    Trials(model, Rows(model)).forward(Inputs((digits_cnn.example_input(),), {}, 8).part(0, 8), seed=0)
    Trials(model, Rows(model)).forward(Inputs((digits_cnn.example_input(),), {}, 8).part(0, 8), seed=0, flags=flags)
    assert unchanged(model, before)
    assert all(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), rng)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_failing_model_is_named_with_the_module_that_ran() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    with pytest.raises(EngineError, match="more than 1 value") as caught:
        Trials(model, Rows(model)).forward(Inputs((torch.ones(1, 3),), {}, 1).part(0, 1), seed=0)
    assert caught.value.module == "1"
    assert isinstance(caught.value.__cause__, ValueError)
    assert int(model[1].num_batches_tracked) == 0


def test_a_trial_can_be_stopped_inside_a_forward() -> None:
    model = digits()
    calls: list[int] = []

    def stop() -> bool:
        calls.append(1)
        return len(calls) > 5

    with pytest.raises(Cancelled):
        Trials(model, Rows(model), should_stop=stop).forward(
            Inputs((digits_cnn.example_input(),), {}, 8).part(0, 1), seed=0
        )
    assert len(calls) == 6


# ------------------------------------------------------------------------------------------------------------ answers


def test_answers_are_runs_by_samples_by_width() -> None:
    model = digits()
    inputs, info = fed(digits_cnn.example_input())
    found = answers(Trials(model, Rows(model)), inputs, batch=3, seed=0, runs=2)
    assert found.values.shape == (2, 8, 2)
    assert found.per_sample
    shares = as_probabilities(found, info)
    assert shares is not None
    np.testing.assert_allclose(shares.sum(-1), 1)


def test_a_wide_output_is_followed_at_even_distances() -> None:
    rows, own = rows_of(torch.arange(2 * 3000.0).reshape(2, 3000), 2)
    assert own
    assert rows.shape == (2, 1000)
    assert rows[1, :3].tolist() == [3000.0, 3003.0, 3006.0]


@pytest.mark.parametrize(
    ("values", "name", "expected"),
    [
        ([[0.25, 0.75]], "", "as they are"),
        ([[2.0, -1.0]], "", "softmax"),
        ([[2.0, -1.0]], "boxes", None),
        ([[float("nan"), 1.0]], "", None),
    ],
)
def test_scores_are_told_from_other_numbers(values: list[list[float]], name: str, expected: str | None) -> None:
    _, info = fed(torch.zeros(1, 5))
    given = np.array([values])
    shares = as_probabilities(Answers(name, given, (1, 2), True), info)
    if expected is None:
        assert shares is None
    else:
        assert shares is not None
        np.testing.assert_allclose(shares, given if expected == "as they are" else softmax(given))


# -------------------------------------------------------------------------------------------------------- same answer


def test_same_answer_of_the_incident() -> None:
    model = digits()
    before = state(model)
    inputs, _ = fed(digits_cnn.example_input())
    same = same_answer(model, inputs, Rows(model), grad_mode="no_grad", seed=5, runs=4)
    assert (same.field, same.mates) == ("", 7)
    assert not same.exact_again
    assert not same.exact_company
    assert unchanged(model, before)
    again, company = same.again.numpy(), same.company.numpy()
    for run in range(4):
        torch.manual_seed(5 + run)
        with torch.no_grad():
            np.testing.assert_array_equal(again[run], copy.deepcopy(model)(digits_cnn.example_input()[:1])[0])
        torch.manual_seed(5 + run)
        with torch.no_grad():
            np.testing.assert_array_equal(company[run], copy.deepcopy(model)(digits_cnn.example_input())[0])


def test_same_answer_in_eval_is_exact_again_and_equal_in_company() -> None:
    model = digits().eval()
    inputs, _ = fed(digits_cnn.example_input())
    same = same_answer(model, inputs, Rows(model), grad_mode="inference_mode", seed=0, runs=3)
    assert same.exact_again
    np.testing.assert_allclose(same.alone.numpy(), same.company.numpy(), atol=1e-4)


def test_same_answer_without_company() -> None:
    model = digits().eval()
    inputs, _ = fed(digits_cnn.example_input()[:1])
    same = same_answer(model, inputs, Rows(model), grad_mode="no_grad", seed=0, runs=2)
    assert same.mates == 0
    assert same.exact_company
    assert same.company.shape == (0, 2)


class Whole(nn.Module):
    """One number for the whole batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum()


def test_an_output_that_is_no_samples_own_has_no_company() -> None:
    model = Whole()
    inputs, _ = fed(torch.ones(4, 2))
    same = same_answer(model, inputs, Rows(model), grad_mode="no_grad", seed=0, runs=2)
    assert same.mates == 0
    assert same.again.numpy().tolist() == [[2.0], [2.0]]


# ------------------------------------------------------------------------------------------------------- spread curve


def test_the_curve_of_the_incident_collapses_at_pool() -> None:
    model = digits()
    before, rows = state(model), Rows(model)
    inputs, _ = fed(digits_cnn.example_input())
    curve = spread_curve(model, inputs, rows, grad_mode="no_grad", seed=0, samples=range(8))
    assert curve is not None
    assert [rows.paths[row] for row in curve.rows][-4:] == ["features.8", "pool", "drop", "head"]
    assert curve.collapse is not None
    assert rows.paths[curve.rows[curve.collapse]] == "pool"
    train, evaluated = dict(zip(curve.rows, curve.train, strict=True)), dict(zip(curve.rows, curve.eval, strict=True))
    pool, norm = rows.by_path("pool"), rows.by_path("features.8")
    assert train[norm] is not None
    assert train[pool] is not None
    assert evaluated[pool] is not None
    assert train[norm] > 0.5
    assert train[pool] < 1e-4
    assert evaluated[pool] > 0.5
    assert unchanged(model, before)


def test_the_curve_is_the_deviation_over_inputs() -> None:
    model = nn.Sequential(nn.Identity())
    tensor = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)).double()
    inputs, _ = fed(tensor)
    curve = spread_curve(model, inputs, Rows(model), grad_mode="no_grad", seed=0, samples=[0, 2, 4])
    assert curve is not None
    chosen = tensor[[0, 2, 4]].numpy()
    expected = np.sqrt(chosen.var(axis=0).mean() / np.square(chosen).mean())
    assert curve.eval == pytest.approx([expected])
    assert curve.collapse is None


def test_the_curve_takes_equal_masks_for_no_difference() -> None:
    model = nn.Sequential(nn.Dropout(0.5))
    inputs, _ = fed(torch.ones(4, 50))
    curve = spread_curve(model, inputs, Rows(model), grad_mode="no_grad", seed=0, samples=range(4))
    assert curve is not None
    assert curve.train == [0.0]


def test_rounding_around_zero_is_no_difference_of_inputs() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1))
    inputs, _ = fed(torch.randn(4, 3, 6, 6) + torch.arange(4.0).reshape(4, 1, 1, 1))
    curve = spread_curve(model, inputs, Rows(model), grad_mode="no_grad", seed=0, samples=range(4))
    assert curve is not None
    assert curve.collapse == 1
    assert curve.train[1] is not None
    assert curve.train[1] < 1e-2


def test_no_curve_of_one_sample_and_an_empty_one_where_train_raises() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    inputs, _ = fed(torch.randn(3, 3))
    rows = Rows(model)
    assert spread_curve(model, inputs, rows, grad_mode="no_grad", seed=0, samples=[0]) is None
    curve = spread_curve(model, inputs, rows, grad_mode="no_grad", seed=0, samples=[0, 1, 2])
    assert curve is not None
    assert curve.train == [None, None]
    assert curve.collapse is None


# -------------------------------------------------------------------------------------------------------------- flips


def test_flips_rank_the_culprit_first() -> None:
    model = digits()
    before, rows = state(model), Rows(model)
    inputs, _ = fed(digits_cnn.example_input())
    found = flips(model, inputs, rows, grad_mode="no_grad", seed=0, batch=1, runs=2, read=softmax)
    assert found.ranking[0].path == "features.8"
    assert {flip.path for flip in found.ranking} == {"features.1", "features.4", "features.8", "drop"}
    assert found.whole == pytest.approx(0.5, abs=0.01)
    assert 0.6 < found.ranking[0].alone / found.whole < 0.9
    assert found.train_spread < 1e-4
    assert found.eval_spread == pytest.approx(0.5, abs=0.01)
    assert unchanged(model, before)
    assert all(module.training for module in model.modules())


def test_a_flip_is_what_torch_gives_with_that_module_flipped() -> None:
    model = digits()
    images = digits_cnn.example_input()
    inputs, _ = fed(images)
    rows = Rows(model)
    found = flips(
        model, inputs, rows, grad_mode="no_grad", seed=0, batch=8, runs=1, candidates=[rows.by_path("features.4")]
    )

    def bare(train: bool, flipped: bool) -> torch.Tensor:
        twin = copy.deepcopy(model).train(train)
        twin.get_submodule("features.4").train(flipped)
        torch.manual_seed(0)
        with torch.no_grad():
            output: torch.Tensor = twin(images)
        return output

    alone = (bare(True, False) - bare(True, True)).abs().mean().item()
    against = (bare(False, True) - bare(False, False)).abs().mean().item()
    assert found.ranking[0].alone == pytest.approx(alone, rel=1e-6)
    assert found.ranking[0].against == pytest.approx(against, rel=1e-6)


# ------------------------------------------------------------------------------------------------------------ parting


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_what_is_no_number_is_no_measure_of_what_is_close(odd: float) -> None:
    one = torch.tensor([1.0, 2.0, odd])
    assert close(one, one.clone())
    assert close(one, torch.tensor([1.0, 2.00001, odd]))
    assert not close(one, torch.tensor([1.0, 2.1, odd]))
    assert close(torch.full((2,), odd), torch.full((2,), odd))
    assert not close(one, torch.tensor([1.0, 2.0, 3.0]))


def test_two_seeds_part_first_at_the_forgetful_block() -> None:
    model = drop_path_net.build()
    rows = Rows(model)
    batch = Inputs((drop_path_net.example_input(),), {}, 8).part(0, 8)
    assert rows.paths[first_parting(Trials(model, rows), (batch, 0), (batch, 1)) or 0] == "1"
    flags = all_flags(rows, True)
    row = first_parting(Trials(model, rows), (batch, 0), (batch, 1), flags=flags)
    assert row is not None
    assert rows.paths[row] == "0"


def test_nothing_parts_in_eval() -> None:
    model = text_transformer.build().eval()
    rows = Rows(model)
    batch = Inputs((text_transformer.example_input(),), {}, 4).part(0, 4)
    assert first_parting(Trials(model, rows), (batch, 0), (batch, 1)) is None


def test_close_forgives_rounding_and_no_more() -> None:
    values = torch.tensor([1.0, -300.0])
    assert close(values, values + 1e-3)
    assert not close(values, values + 1.0)
    assert not close(torch.tensor([1, 2]), torch.tensor([1, 3]))
