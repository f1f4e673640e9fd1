"""MC dropout against plain torch: mean, spread and entropy by hand, and which dropouts contribute."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from modelight.engine.batches import Inputs
from modelight.engine.errors import Cancelled
from modelight.engine.experiments.mc_dropout import mc_dropout
from modelight.engine.modules.rows import Rows
from modelight.protocol import DropoutShare, McDropout
from modelight.sample_models import digits_cnn, drop_path_net, hidden_dropout, norm_zoo, text_transformer
from tests.engine.looking import digits
from tests.engine.observing import state_bits

SEED, PASSES = 2, 8


def asked(model: nn.Module, values: torch.Tensor, **more: object) -> McDropout:
    options = {"passes": PASSES, "batch": 4, **more}
    return mc_dropout(model, Inputs((values,), {}, len(values)), Rows(model), seed=SEED, **options)  # type: ignore[arg-type]


def shares(found: McDropout) -> dict[str, DropoutShare]:
    return {one.path: one for one in found.dropouts}


def by_hand(model: nn.Module, on: list[str], values: torch.Tensor) -> np.ndarray:
    """Softmax of passes × samples × classes in eval but for these dropouts, four samples per forward."""
    fresh, passes = copy.deepcopy(model).eval(), []
    for path in on:
        fresh.get_submodule(path).training = True
    for number in range(PASSES):
        torch.manual_seed(SEED + number)
        with torch.no_grad():
            parts = [fresh(values[start : start + 4]).double().softmax(-1) for start in range(0, len(values), 4)]
        passes.append(torch.cat(parts).numpy())
    return np.stack(passes)


def test_mean_spread_and_entropy_are_those_by_hand() -> None:
    images = digits_cnn.example_input()
    found, expected = asked(digits(), images, classes=digits_cnn.CLASSES), by_hand(digits(), ["drop"], images)
    np.testing.assert_allclose(found.mean.numpy(), expected.mean(0), atol=1e-6)
    np.testing.assert_allclose(found.deviation.numpy(), expected.std(0, ddof=1), atol=1e-6)
    assert found.entropy is not None and found.expected_entropy is not None and found.evaluated is not None
    mean = expected.mean(0)
    np.testing.assert_allclose(found.entropy.numpy(), -(mean * np.log(mean)).sum(-1), atol=1e-5)
    np.testing.assert_allclose(
        found.expected_entropy.numpy(), -(expected * np.log(expected)).sum(-1).mean(0), atol=1e-5
    )
    np.testing.assert_allclose(found.evaluated.numpy(), by_hand(digits(), [], images)[0], atol=1e-6)
    assert found.spread == pytest.approx(expected.std(0, ddof=1).mean(), rel=1e-4), "two classes: half their sum"
    assert found.nothing_on == 0 and not found.exact


def test_each_dropout_has_its_share() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 8), nn.Dropout(0.05), nn.Linear(8, 3))
    values = torch.randn(6, 6)
    found, whole = (
        asked(model, values, classes=("a", "b", "c")),
        by_hand(model, ["1", "3"], values).var(0, ddof=1).mean(),
    )
    for path in ("1", "3"):
        alone = by_hand(model, [path], values).var(0, ddof=1).mean()
        assert shares(found)[path].share == pytest.approx(alone / whole, rel=1e-4)
        assert shares(found)[path].verdict == "adds"
    assert [one.path for one in found.dropouts] == ["1", "3"], "the largest first"
    assert shares(found)["1"].p == 0.5


class Odd(nn.Module):
    """Dropouts that add nothing, each for a reason of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.zero, self.unused, self.unread, self.works = nn.Dropout(0.0), nn.Dropout(), nn.Dropout(), nn.Dropout()
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.unread(x)
        scores: torch.Tensor = self.head(self.works(self.zero(x)))
        return scores


def test_why_a_dropout_adds_nothing_is_said() -> None:
    torch.manual_seed(0)
    found = shares(asked(Odd(), torch.randn(4, 16)))
    assert {path: one.verdict for path, one in found.items()} == {
        "works": "adds",
        "zero": "rate-zero",
        "unused": "not-called",
        "unread": "no-effect",
    }
    assert found["unread"].share == 0 and found["unread"].spread == 0


def test_without_dropout_there_is_no_variance() -> None:
    found = asked(norm_zoo.build(), norm_zoo.example_input())
    assert found.dropouts == [] and found.exact and found.spread == 0
    assert not np.any(found.deviation.numpy())


def test_dropouts_inside_a_fused_layer_are_heard_one_by_one() -> None:
    model = text_transformer.build()
    found = asked(model.eval(), text_transformer.example_input())
    assert len(found.dropouts) == 8 and {one.verdict for one in found.dropouts} == {"adds"}
    assert "encoder.layers.0.self_attn" in shares(found)


def test_what_draws_whatever_the_flags_is_kept_apart() -> None:
    hidden = asked(hidden_dropout.build(), hidden_dropout.example_input())
    assert hidden.dropouts == [] and not hidden.exact and hidden.nothing_on == pytest.approx(hidden.spread)
    path = asked(drop_path_net.build(), drop_path_net.example_input())
    assert [one.path for one in path.dropouts] == ["0"] and path.nothing_on is not None
    assert 0 < path.nothing_on < path.spread


def test_norms_stay_in_eval_and_no_trace_is_left() -> None:
    model = digits()
    before, generator = state_bits(model), torch.get_rng_state()
    asked(model, digits_cnn.example_input())
    assert state_bits(model) == before and torch.equal(torch.get_rng_state(), generator)


def test_the_same_seed_gives_the_same_figures() -> None:
    images = digits_cnn.example_input()
    assert asked(digits(), images) == asked(digits(), images)
    assert asked(digits(), images) != mc_dropout(
        digits(), Inputs((images,), {}, 8), Rows(digits()), seed=SEED + 1, batch=4, passes=PASSES
    )


def test_it_can_be_stopped() -> None:
    with pytest.raises(Cancelled):
        asked(digits(), digits_cnn.example_input(), should_stop=lambda: True)
