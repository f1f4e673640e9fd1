"""Compare against what plain torch says: figures by hand, states that raise, grad modes that do matter, no trace."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modelight.engine.batches import Inputs
from modelight.engine.errors import Cancelled
from modelight.engine.experiments import culprits
from modelight.engine.experiments.matrix import SAMPLES, compare
from modelight.engine.modules import flag
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import guard, rng, runner
from modelight.phrases import phrase
from modelight.protocol import Array, Clause, Compared, InputInfo, InputTensor, Run
from modelight.sample_models import digits_cnn

from .layers import Calls

RUNS = 4


def digits() -> nn.Module:
    model = digits_cnn.build()
    assert digits_cnn.CHECKPOINT is not None
    model.load_state_dict(torch.load(digits_cnn.CHECKPOINT, weights_only=True))
    return model.train()


def info_of(inputs: torch.Tensor, classes: list[str]) -> InputInfo:
    count = len(inputs)
    tensors = [InputTensor("[0]", tuple(inputs.shape), "float32")]
    return InputInfo([], tensors, count, [""] * count, [False] * count, [None] * count, classes)


def compared(model: nn.Module, inputs: torch.Tensor, *, batch: int = 1, runs: int = RUNS, **more: object) -> Compared:
    fed = Inputs((inputs,), samples=len(inputs))
    return compare(model, fed, Rows(model), seed=3, batch=batch, runs=runs, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def incident() -> Compared:
    images = digits_cnn.example_input()
    return compared(digits(), images, info=info_of(images, list(digits_cnn.CLASSES)))


@contextmanager
def leaving_no_trace(model: nn.Module) -> Iterator[None]:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    flags = [module.training for module in model.modules()]
    generators = rng.RngState.now()
    yield
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == flags
    assert generators.moved() == []


def by_hand(model: nn.Module, flags: dict[str, bool], *, runs: int = RUNS) -> np.ndarray:
    """Softmax of the digits one at a time: runs × samples × classes."""
    answers = []
    for run in range(runs):
        fresh = copy.deepcopy(model)
        for path, module in fresh.named_modules():
            module.training = flags[path]
        torch.manual_seed(3 + run)
        with torch.no_grad():
            answers.append(torch.cat([fresh(image[None]) for image in digits_cnn.example_input()]).double().softmax(-1))
    return torch.stack(answers).numpy()


def everything(model: nn.Module, training: bool, **others: bool) -> dict[str, bool]:
    flags = dict.fromkeys((path for path, _ in model.named_modules()), training)
    return {**flags, **{path.replace("_", "."): value for path, value in others.items()}}


# ------------------------------------------------------------------------------------------------------------ the cells


def test_cells_hold_what_torch_gives_by_hand(incident: Compared) -> None:
    assert [(cell.training, cell.grad_mode) for cell in incident.cells] == [
        (training, mode) for training in (True, False) for mode in ("enabled", "no_grad", "inference_mode")
    ]
    assert incident.measure == "softmax"
    for cell in incident.cells:
        runs = by_hand(digits(), everything(digits(), cell.training))
        assert cell.values is not None and cell.deviations is not None
        np.testing.assert_allclose(cell.values.numpy(), runs.mean(0), atol=1e-6)
        np.testing.assert_allclose(cell.deviations.numpy(), runs.std(0, ddof=1), atol=1e-6)
        assert cell.spread == pytest.approx(runs.std(0, ddof=1).mean(), abs=1e-6)
        assert cell.exact is not cell.training
        assert cell.milliseconds is not None and 0 < cell.milliseconds < 1000


def test_the_incident_differs_by_rows_and_agrees_by_columns(incident: Compared) -> None:
    train, evaluated = (by_hand(digits(), everything(digits(), training)).mean(0) for training in (True, False))
    assert incident.moved == pytest.approx(np.abs(train - evaluated).mean(), abs=1e-6)
    assert incident.moved > 0.4 > incident.moved_chance
    assert not incident.rows_exact
    assert incident.columns_exact
    assert incident.columns_apart == 0


def test_what_comes_out_and_what_it_costs(incident: Compared) -> None:
    assert [cell.output for cell in incident.cells] == ["requires_grad", "plain", "inference"] * 2
    assert [cell.kept_bytes > 0 for cell in incident.cells] == [True, False, False] * 2
    assert [cell.would_move for cell in incident.cells] == [9, 9, 9, 0, 0, 0]
    assert not any(cell.watched for cell in incident.cells)


@pytest.mark.parametrize("training", [True, False])
def test_a_cell_answers_as_an_observed_run_does(training: bool, incident: Compared) -> None:
    model, images = digits(), digits_cnn.example_input()
    command = Run(id=1, grad_mode="enabled", seed=3, repeats=RUNS, batch=1, force=training)
    frame = runner.run(model, Inputs((images,), samples=len(images)), command, rows=Rows(model))
    cell = next(cell for cell in incident.cells if cell.training == training and cell.grad_mode == "enabled")
    assert cell.values is not None and frame.outputs[0].values is not None
    raw = torch.from_numpy(frame.outputs[0].values.numpy().copy()).double()
    np.testing.assert_allclose(cell.values.numpy(), raw.softmax(-1).mean(0).numpy(), atol=1e-6)
    assert cell.kept_bytes == frame.autograd.kept


def test_comparing_leaves_no_trace() -> None:
    model, images = digits(), digits_cnn.example_input()
    model.features[4].eval()  # type: ignore[index, operator]
    with leaving_no_trace(model):
        compared(model, images, runs=2)


def test_a_model_too_large_to_copy_says_that_its_time_is_an_upper_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "COPIED_PARAMETERS", 0)
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    given = torch.randn(4, 3)
    with leaving_no_trace(model):
        found = compared(model, given, batch=4, runs=1)
    assert all(cell.watched for cell in found.cells)
    assert [cell.would_move for cell in found.cells] == [3, 3, 3, 0, 0, 0]


def test_dropouts_that_drop_nothing_move_nothing() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.0), nn.Linear(8, 3), nn.Dropout(0.0))
    found = compared(model, torch.randn(5, 4))
    assert found.rows_exact and found.columns_exact
    assert found.moved == 0
    assert all(cell.exact and cell.spread == 0 for cell in found.cells)
    assert all(not one.alone and not one.against for one in found.culprits)


def test_a_cell_that_raises_says_where_and_the_others_stand() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    given = torch.randn(6, 4)
    with leaving_no_trace(model):
        found = compared(model, given, batch=1)
    for cell in found.cells[:3]:
        assert cell.problem is not None and cell.values is None
        assert cell.problem.values["module"] == "1"
        assert "Expected more than 1 value per channel" in phrase(cell.problem)
    assert all(cell.problem is None and cell.exact for cell in found.cells[3:])
    assert found.moved is None and not found.rows_exact
    moves = {one.path: (one.alone, one.against) for one in found.culprits}
    assert moves["1"] == (None, None)
    assert moves["2"][0] is None and (moves["2"][1] or 0) > 0
    assert all(cell.problem is None for cell in compared(model, given, batch=2).cells)


def test_a_model_that_returns_no_tensor_says_so_in_every_cell() -> None:
    found = compared(Calls(lambda _, x: "text"), torch.randn(2, 3), runs=1)
    assert [cell.problem for cell in found.cells] == [Clause("no-tensor-returned")] * 6
    assert found.measure == "raw" and found.moved is None and not found.rows_exact


# ---------------------------------------------------------------------------------------------------------- honesty


def test_columns_that_differ_are_said_to_differ() -> None:
    model = Calls(lambda _, x: x + (0.25 if torch.is_grad_enabled() else 0.0))
    found = compared(model, torch.randn(4, 3))
    assert not found.columns_exact
    assert found.columns_apart == pytest.approx(0.25, abs=1e-6)
    assert found.rows_exact


def test_a_difference_in_an_output_that_is_not_shown_is_a_difference() -> None:
    model = Calls(lambda _, x: (x, x + torch.is_grad_enabled()))
    found = compared(model, torch.randn(4, 3))
    assert found.field == "[0]"
    assert (found.columns_exact, found.columns_apart) == (False, 0.0)


def test_a_model_that_refuses_one_grad_mode() -> None:
    def forward(_: nn.Module, x: torch.Tensor) -> torch.Tensor:
        if torch.is_inference_mode_enabled():
            raise RuntimeError("not here")
        return x

    found = compared(Calls(forward), torch.randn(4, 3))
    assert [cell.problem is not None for cell in found.cells] == [False, False, True] * 2
    assert not found.columns_exact


def test_randomness_that_ignores_the_flag_is_spread_and_no_difference_of_rows() -> None:
    found = compared(Calls(lambda _, x: F.dropout(x, 0.5)), torch.randn(4, 3))
    assert found.rows_exact
    assert not any(cell.exact for cell in found.cells)
    assert all((cell.spread or 0) > 0 for cell in found.cells)


def test_what_repeats_explain_is_told_from_what_they_do_not() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 64), nn.Dropout(0.5), nn.Linear(64, 8))
    found = compared(model, torch.randn(16, 16), runs=8)
    assert found.moved is not None and 0 < found.moved <= found.moved_chance  # dropout keeps the mean of a linear map
    (only,) = found.culprits
    assert only.alone is not None and only.alone <= only.alone_chance
    shifted = Calls(lambda self, x: model(x) + 5.0 * self.training)
    other = compared(shifted, torch.randn(16, 16), runs=8)
    assert other.moved is not None and other.moved > other.moved_chance > 0


def test_chance_is_twice_the_expected_distance_of_means() -> None:
    found = compared(Calls(lambda self, x: x + self.training * torch.randn_like(x)), torch.zeros(8, 64), runs=9)
    spread = np.sqrt(np.square(_numpy(found.cells[0].deviations)).astype(np.float64) / 9)
    assert found.moved_chance == pytest.approx(2 * np.sqrt(2 / np.pi) * spread.mean(), rel=1e-5)
    assert found.moved == pytest.approx(found.moved_chance / 2, rel=0.15)


def _numpy(array: Array | None) -> np.ndarray:
    assert array is not None
    return array.numpy()


def test_inputs_that_the_model_overwrites_are_put_back() -> None:
    given = torch.ones(3, 2)
    found = compared(Calls(lambda _, x: x.add_(1)), given)
    assert torch.equal(given, torch.ones(3, 2))
    assert all(cell.exact and _numpy(cell.values).tolist() == [[2, 2]] * 3 for cell in found.cells)


def test_many_samples_are_cut_and_wholes_are_not() -> None:
    found = compared(nn.Flatten(), torch.randn(SAMPLES + 9, 3), batch=10)
    assert (found.samples, found.forwards) == (SAMPLES, 7)
    assert _numpy(found.cells[0].values).shape == (SAMPLES, 3)
    whole = Inputs((torch.randn(SAMPLES + 9, 3),), samples=1, splittable=False)
    model = nn.Flatten()
    one = compare(model, whole, Rows(model), seed=0, batch=4, runs=1)
    assert (one.samples, one.forwards, one.per_sample) == (1, 1, False)
    assert one.cells[0].deviations is None and one.cells[0].spread is None


def test_a_change_among_many_classes_is_not_watered_down() -> None:
    def forward(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return F.one_hot(torch.full((len(x),), 7 if self.training else 3), 1000).float()

    found = compared(Calls(forward), torch.randn(2, 5))
    assert found.measure == "probabilities"
    assert found.moved == pytest.approx(1.0)


# --------------------------------------------------------------------------------------------------------- culprits


def test_culprits_are_ranked_and_match_flips_by_hand(incident: Compared) -> None:
    assert [one.path for one in incident.culprits] == ["features.8", "features.4", "features.1", "drop"]
    assert incident.culprit_runs == RUNS and incident.everything == pytest.approx(incident.moved)
    model = digits()
    train, evaluated = (by_hand(model, everything(model, training)).mean(0) for training in (True, False))
    for one in incident.culprits:
        name = one.path.replace(".", "_")
        alone = by_hand(model, everything(model, True, **{name: False})).mean(0)
        against = by_hand(model, everything(model, False, **{name: True})).mean(0)
        assert one.alone == pytest.approx(np.abs(alone - train).mean(), abs=1e-6)
        assert one.against == pytest.approx(np.abs(against - evaluated).mean(), abs=1e-6)
        assert one.training and one.flipped is None
    assert not incident.mixed


def test_in_a_mixed_state_flips_from_it_are_measured_too() -> None:
    model, images = digits(), digits_cnn.example_input()
    model.features[8].eval()  # type: ignore[index, operator]
    found = compared(model, images, info=info_of(images, list(digits_cnn.CLASSES)))
    assert found.mixed
    present = by_hand(model, everything(model, True, features_8=False)).mean(0)
    first = next(one for one in found.culprits if one.path == "features.8")
    assert not first.training
    assert first.flipped == pytest.approx(
        np.abs(by_hand(model, everything(model, True)).mean(0) - present).mean(), abs=1e-6
    )
    assert flag.read(model.features[8]) is False  # type: ignore[index]


@pytest.mark.parametrize(("modules", "forwards", "runs"), [(1, 8, 16), (8, 8, 16), (16, 8, 8), (48, 64, 4)])
def test_many_culprits_get_fewer_runs(modules: int, forwards: int, runs: int) -> None:
    rows = Rows(nn.Sequential(*(nn.Dropout(0.1) for _ in range(modules))))
    plan = culprits.plan(rows, "no_grad", forwards=forwards, runs=16)
    assert (len(plan.sites), plan.runs, plan.total) == (modules, runs, 2 * modules * runs)


# ------------------------------------------------------------------------------------------------- stopping, progress


def test_it_stops_between_forwards_and_leaves_no_trace() -> None:
    model, asked = digits(), 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 21

    with leaving_no_trace(model), pytest.raises(Cancelled):
        compared(model, digits_cnn.example_input(), should_stop=should_stop)
    assert asked == 22


def test_progress_grows_and_has_words() -> None:
    said: list[tuple[Clause, float | None]] = []
    compared(digits(), digits_cnn.example_input(), runs=2, progress=lambda what, share: said.append((what, share)))
    shares = [share for _, share in said if share is not None]
    assert len(shares) == len(said) == 6 * 2 + 4
    assert shares == sorted(shares) and shares[0] == 0 and 0.8 < shares[-1] < 1
    assert {phrase(what) for what, _ in said} >= {"Running in train, grad mode no_grad", "Flipping features.8"}
