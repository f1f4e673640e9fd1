"""Batch-mates against plain torch: answers over the batch size, who is right, and who lets samples talk."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from modelight.engine.batches import Inputs
from modelight.engine.errors import Cancelled
from modelight.engine.experiments.batch_curve import Filled, batch_curve, sizes_up_to
from modelight.engine.modules.rows import Rows
from modelight.protocol import BatchCurve, BatchSide, InputInfo, InputTensor
from modelight.sample_models import digits_cnn, hidden_dropout, tagger_lstm
from tests.engine.looking import digits
from tests.engine.observing import state_bits

SEED, RUNS = 3, 4


def asked(model: nn.Module, values: torch.Tensor, info: InputInfo | None = None, **more: object) -> BatchCurve:
    fed = Inputs((values,), {}, len(values))
    return batch_curve(model, fed, Rows(model), seed=SEED, runs=RUNS, info=info, **more)  # type: ignore[arg-type]


def info_of(images: torch.Tensor, labels: list[int]) -> InputInfo:
    tensors = [InputTensor("[0]", tuple(images.shape), "float32")]
    count = len(images)
    return InputInfo([], tensors, count, [""] * count, [False] * count, list(labels), list(digits_cnn.CLASSES))


@pytest.fixture(scope="module")
def incident() -> BatchCurve:
    images = digits_cnn.example_input()
    return asked(digits(), images, info_of(images, list(digits_cnn.example_labels())))


def side(found: BatchCurve, training: bool) -> BatchSide:
    return next(one for one in found.sides if one.training == training)


def test_sizes_are_powers_of_two_and_all() -> None:
    assert sizes_up_to(2) == [1, 2]
    assert sizes_up_to(8) == [1, 2, 4, 8]
    assert sizes_up_to(12) == [1, 2, 4, 8, 12]


def test_every_batch_is_full_and_every_sample_is_found_again() -> None:
    values = torch.arange(7)
    filled = Filled((values,), {}, 7)
    parts = list(filled.batches(3))
    assert [part.args[0].tolist() for part in parts] == [[0, 1, 2], [3, 4, 5], [4, 5, 6]]
    joined = torch.cat([part.args[0] for part in parts])
    assert joined[filled.places(3)].tolist() == values.tolist()


@pytest.mark.parametrize("size", [1, 2, 4, 8])
@pytest.mark.parametrize("training", [True, False])
def test_answers_over_the_batch_size_are_those_of_plain_torch(incident: BatchCurve, training: bool, size: int) -> None:
    images, answers = digits_cnn.example_input(), []
    for run in range(RUNS):
        model = copy.deepcopy(digits()).train(training)
        kept = copy.deepcopy(model.state_dict())
        torch.manual_seed(SEED + run)
        batches = []
        with torch.no_grad():
            for start in range(0, 8, size):
                batches.append(model(images[start : start + size]).double().softmax(-1))
        assert training or all(torch.equal(kept[name], value) for name, value in model.state_dict().items())
        answers.append(torch.cat(batches).numpy())
    point = next(one for one in side(incident, training).points if one.size == size)
    assert point.values is not None and point.deviations is not None
    np.testing.assert_allclose(point.values.numpy(), np.stack(answers).mean(0), atol=1e-6)
    np.testing.assert_allclose(point.deviations.numpy(), np.stack(answers).std(0, ddof=1), atol=1e-6)
    right = [int((run.argmax(-1) == np.array(digits_cnn.example_labels())).sum()) for run in answers]
    assert point.right == right[: len(point.right)]
    assert len(point.right) == (RUNS if training else 2), "eval draws nothing: its other runs are spared"


def test_the_incident_hides_in_company(incident: BatchCurve) -> None:
    train = side(incident, True)
    assert incident.labelled == 8 and incident.measure == "softmax"
    assert max(train.points[0].right) <= 5 and train.points[-1].right == [8] * RUNS
    assert train.first == "features.1" and train.mixing == ["features.1", "features.4", "features.8"]
    apart = {layer.path: layer for layer in train.layers}
    assert apart["features.0"].apart == 0
    assert not apart["features.1"].rounding and 0 < (apart["features.1"].apart or 0) < 1
    assert train.unseen is None


def test_how_far_a_layer_is_moved_is_the_distance_by_hand(incident: BatchCurve) -> None:
    images = digits_cnn.example_input()
    first = copy.deepcopy(digits()).features[:2].train()
    with torch.no_grad():
        alone, company = first(images[:1]).double(), first(images)[:1].double()
    expected = float((company - alone).norm() / (company.norm() + alone.norm()))
    found = {layer.path: layer.apart for layer in side(incident, True).layers}
    assert found["features.1"] == pytest.approx(expected, rel=1e-5)


def test_in_eval_nobody_talks(incident: BatchCurve) -> None:
    evaluated = side(incident, False)
    assert evaluated.first is None and evaluated.mixing == []
    assert all(layer.rounding for layer in evaluated.layers)
    assert all(point.exact for point in evaluated.points)


def test_statistics_that_are_not_tracked_talk_in_eval_too() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False)).eval()
    found = asked(model, torch.randn(6, 3, generator=torch.Generator().manual_seed(1)))
    for one in found.sides:
        assert one.points[0].problem is not None, "one value per channel raises"
        assert one.least == 2 and one.first == "1" and one.mixing == ["1"]


def test_a_module_of_ones_own_that_mixes_is_found() -> None:
    class Centred(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x - x.mean(0)

    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), Centred(), nn.Linear(3, 2))
    found = asked(model, torch.randn(4, 3, generator=torch.Generator().manual_seed(1)))
    assert [one.first for one in found.sides] == ["2", "2"]
    assert [one.mixing for one in found.sides] == [[], []]


def test_states_of_recurrent_layers_are_no_company() -> None:
    model = tagger_lstm.build()
    fed = Inputs((), dict(tagger_lstm.example_input()), 3)
    found = batch_curve(model, fed, Rows(model), seed=SEED, runs=2)
    assert [one.first for one in found.sides] == [None, None]


def test_what_draws_whatever_its_flag_hides_the_rest() -> None:
    found = asked(hidden_dropout.build(), hidden_dropout.example_input())
    for one in found.sides:
        assert one.first is None
        assert one.unseen is not None and one.unseen.id == "company-draws"
        assert one.unseen.values == {"module": "functional"}


def test_one_sample_or_none_of_its_own_is_said() -> None:
    alone = asked(nn.Linear(3, 2), torch.ones(1, 3))
    assert alone.unseen is not None and alone.unseen.id == "needs-samples" and not alone.sides

    class Mean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean()

    whole = asked(Mean(), torch.ones(4, 3))
    assert whole.unseen is not None and whole.unseen.id == "no-row-per-sample"


def test_no_trace_is_left() -> None:
    model = digits()
    before, generator = state_bits(model), torch.get_rng_state()
    asked(model, digits_cnn.example_input()[:3])
    assert state_bits(model) == before
    assert torch.equal(torch.get_rng_state(), generator)


def test_it_can_be_stopped() -> None:
    with pytest.raises(Cancelled):
        asked(digits(), digits_cnn.example_input(), should_stop=lambda: True)
