"""Dropout masks are exact, and the tempting way to get them is not."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import modelight
from modelight.engine.batches import Inputs
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import runner
from modelight.engine.observing.observe import Dropout
from modelight.protocol import GradMode, Run
from tests.engine.layers import DROPOUT, Calls, scripted_dropout
from tests.engine.observing import GRAD_MODES, build
from tests.engine.zoo import HAND

PLAIN = [
    "dropout",
    "dropout in place",
    "dropout channels last",
    "dropout1d",
    "dropout1d unbatched",
    "dropout2d",
    "dropout2d channels last",
    "dropout3d",
    "p=1",
    "F.dropout",
    "F.dropout2d",
    "torch.dropout",
    "torch.dropout p=1",
    "native_dropout",
    "scripted",
    "vmap",
    "made in forward",
    "bernoulli",
]


def only(model: nn.Module, *args: Any, mode: GradMode = "no_grad", seed: int = 0) -> tuple[Dropout, torch.Tensor]:
    seen = modelight.observe(model, *args, seed=seed, grad_mode=mode)
    (drop,) = seen.dropouts
    return drop, seen.output


@pytest.mark.parametrize("mode", GRAD_MODES)
@pytest.mark.parametrize("name", PLAIN)
def test_where_no_input_is_zero_the_mask_is_where_the_output_is(name: str, mode: GradMode) -> None:
    model, value = build(DROPOUT[name], training=True)
    drop, output = only(model, value, mode=mode)
    assert drop.unseen is None and drop.dropped is not None and drop.observed is not None
    assert drop.dropped.shape == value.shape
    assert torch.equal(drop.dropped, output == 0)
    assert drop.observed == pytest.approx((output == 0).float().mean().item())
    assert drop.already_zero == 0
    assert drop.unit == ("channel" if any(part in name for part in ("1d", "2d", "3d")) else "element")


@pytest.mark.parametrize("mode", GRAD_MODES)
@pytest.mark.parametrize("name", ["alpha dropout", "feature alpha dropout", "F.alpha_dropout"])
def test_alpha_dropout_sets_a_negative_constant_not_zero(name: str, mode: GradMode) -> None:
    model, value = build(DROPOUT[name], training=True)
    drop, output = only(model, value, mode=mode)
    assert drop.alpha and drop.dropped is not None and drop.dropped.any()
    fallen = output[drop.dropped]
    assert (fallen < 0).all() and torch.allclose(fallen, fallen[0])
    assert not torch.isclose(output[~drop.dropped], fallen[0]).any()


def test_alpha_dropout_at_p_1_sets_zero() -> None:
    drop, output = only(nn.AlphaDropout(1.0), torch.randn(4, 5))
    assert drop.observed == 1.0 and drop.dropped is not None and drop.dropped.all() and not output.any()


@pytest.mark.parametrize("mode", GRAD_MODES)
def test_attention_weights_are_dropped_where_the_mask_says(mode: GradMode) -> None:
    query, identity = torch.randn(2, 2, 5, 4), torch.eye(5).expand(2, 2, 5, 5)
    model = Calls(lambda m, q: F.scaled_dot_product_attention(q, q, identity, dropout_p=0.4))
    drop, weights = only(model, query, mode=mode)
    assert drop.function == "scaled_dot_product_attention" and drop.p == pytest.approx(0.4)
    assert drop.dropped is not None and torch.equal(drop.dropped, weights == 0)


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("mode", GRAD_MODES)
def test_multihead_attention_drops_on_both_of_its_paths(weights: bool, mode: GradMode) -> None:
    attention = nn.MultiheadAttention(4, 1, dropout=0.4, bias=False, batch_first=True)
    with torch.no_grad():
        attention.in_proj_weight[8:] = torch.eye(4)
        attention.out_proj.weight.copy_(torch.eye(4))
    value = torch.eye(4).unsqueeze(0)
    model = Calls(lambda m, x: m.a(x, x, x, need_weights=weights)[0], a=attention)
    drop, output = only(model.train(), value, mode=mode)
    assert (drop.path, drop.function, drop.follows_flag) == ("a", "MultiheadAttention", True)
    assert drop.dropped is not None and torch.equal(drop.dropped.reshape(4, 4), output[0] == 0)


@pytest.mark.parametrize("mode", ["enabled", "no_grad"])
def test_lstm_dropout_between_layers_is_the_one_that_was_applied(mode: GradMode) -> None:
    lstm, value = nn.LSTM(3, 4, 2, dropout=0.5), torch.randn(6, 2, 3)
    drop, output = only(Calls(lambda m, x: m.r(x)[0], r=lstm), value, mode=mode)
    first, second = nn.LSTM(3, 4), nn.LSTM(4, 4)
    state = lstm.state_dict()
    first.load_state_dict({name: state[name] for name in first.state_dict()})
    second.load_state_dict({name: state[name.replace("l0", "l1")] for name in second.state_dict()})
    assert drop.dropped is not None and drop.path == "r" and drop.function == "LSTM"
    between = first(value)[0].masked_fill(drop.dropped, 0) / 0.5
    assert torch.allclose(second(between)[0], output, atol=1e-6)


def test_lstm_dropout_under_inference_mode_is_said_to_be_unseen() -> None:
    lstm = nn.LSTM(3, 4, 2, dropout=0.5)
    drop, _ = only(Calls(lambda m, x: m.r(x)[0], r=lstm), torch.randn(6, 2, 3), mode="inference_mode")
    assert drop.unseen is not None and drop.unseen.id == "fused-kernel"
    assert drop.dropped is None and drop.observed is None and drop.p == 0.5


def test_the_naive_method_is_wrong_after_a_relu_where_ours_is_right() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.ReLU(), nn.Dropout(0.5))
    value = torch.randn(100, 100)
    drop, output = only(model, value)
    naive = (output == 0).float().mean().item()
    assert naive == pytest.approx(0.75, abs=0.02)
    assert drop.observed == pytest.approx(0.5, abs=0.02)
    assert drop.already_zero == int((value <= 0).sum())
    torch.manual_seed(0)
    expected = torch.empty(100, 100).bernoulli_(0.5) == 0
    assert drop.dropped is not None and torch.equal(drop.dropped, expected)


def test_replaying_the_generator_on_ones_is_wrong_for_channels_last_where_ours_is_right() -> None:
    value = torch.randn(2, 8, 5, 5).to(memory_format=torch.channels_last)
    drop, output = only(nn.Dropout(0.5), value, seed=1)
    torch.manual_seed(1)
    replayed = F.dropout(torch.ones(2, 8, 5, 5), 0.5) == 0
    assert drop.dropped is not None
    assert torch.equal(drop.dropped, output == 0) and not torch.equal(replayed, output == 0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_floating_dtype(dtype: torch.dtype) -> None:
    drop, output = only(nn.Dropout(0.3), torch.rand(50, 40).to(dtype) + 1)
    assert drop.dropped is not None and torch.equal(drop.dropped, output == 0)


def test_float16_that_underflows_does_not_count_as_dropped() -> None:
    value = torch.full((40, 40), 6e-8, dtype=torch.float16)
    model = nn.Sequential(nn.Dropout(0.2), Calls(lambda m, x: x * 0.25))
    drop, output = only(model, value)
    assert (output == 0).all()
    assert drop.observed == pytest.approx(0.2, abs=0.05)


def test_infinite_inputs_do_not_spoil_the_mask() -> None:
    value = torch.full((20, 20), float("inf"))
    drop, output = only(nn.Dropout(0.5), value)
    assert drop.unseen is None and drop.dropped is not None
    assert torch.equal(drop.dropped, output.isnan())


@pytest.mark.parametrize(("training", "p"), [(False, 0.5), (True, 0.0)])
@pytest.mark.parametrize("kind", [nn.Dropout, nn.Dropout2d, nn.AlphaDropout])
def test_a_dropout_that_drops_nothing_is_listed_with_nothing_dropped(
    kind: type[nn.Module], training: bool, p: float
) -> None:
    value = torch.randn(2, 3, 4, 4)
    drop, _ = only(kind(p).train(training), value)
    assert (drop.observed, drop.active, drop.unseen) == (0.0, False, None)
    assert drop.dropped is not None and drop.dropped.shape == value.shape and not drop.dropped.any()


def test_a_layer_called_several_times_has_a_mask_for_each_call() -> None:
    model = nn.Sequential(*[nn.Dropout(0.5)] * 3)
    seen = modelight.observe(model, torch.randn(30, 30), seed=0)
    assert [(drop.path, drop.call) for drop in seen.dropouts] == [("0", 0), ("0", 1), ("0", 2)]
    first, second, third = (drop.dropped for drop in seen.dropouts)
    assert first is not None and second is not None and third is not None
    assert torch.equal(first | second | third, seen.output == 0) and not torch.equal(first, second)
    assert seen.modules["0"].called == seen.modules["2"].called == 3


def test_a_layer_that_is_not_called_is_said_not_to_be() -> None:
    model = Calls(lambda m, x: m.used(x), used=nn.Dropout(0.5), spare=nn.Dropout(0.5))
    seen = modelight.observe(model, torch.randn(4, 4))
    assert [drop.path for drop in seen.dropouts] == ["used"]
    unseen = seen.modules["spare"].unseen
    assert seen.modules["spare"].called == 0 and unseen is not None and unseen.id == "not-called"


def test_p_may_change_between_calls() -> None:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        x = m.d(x)
        m.d.p = 0.9
        return m.d(x)

    seen = modelight.observe(Calls(forward, d=nn.Dropout(0.1)), torch.randn(60, 60), seed=0)
    assert [drop.p for drop in seen.dropouts] == [0.1, 0.9]


def test_noise_that_multiplies_nothing_is_listed_but_is_no_mask() -> None:
    drop, _ = only(Calls(lambda m, x: x + torch.empty_like(x).bernoulli_(0.5)), torch.randn(4, 4))
    assert drop.dropped is None and drop.unseen is not None and drop.unseen.id == "noise-not-applied"


def test_drop_path_drops_samples() -> None:
    model, given = HAND["mobile"]()
    seen = modelight.observe(model.train(), seed=3, **given)
    (drop,) = [drop for drop in seen.dropouts if drop.path == "path"]
    assert drop.unit == "sample" and drop.p == 0.5
    assert drop.dropped is not None and drop.dropped.shape == (4, 3, 8, 8)


@pytest.mark.parametrize(
    ("noise", "unit", "draws"),
    [((4, 1), "sample", 4), ((1, 1), "batch", 1), ((1,), "batch", 1), ((), "batch", 1), ((4, 8), "element", 32)],
)
def test_what_one_draw_decides_over(noise: tuple[int, ...], unit: str, draws: int) -> None:
    model = Calls(lambda m, x: x * torch.empty(noise).bernoulli_(0.5))
    drop, output = only(model, torch.ones(4, 8))
    assert drop.unit == unit
    assert drop.dropped is not None and torch.equal(drop.dropped, output == 0)
    inputs = Inputs((torch.ones(4, 8),), {}, 4)
    frame = runner.run(model, inputs, Run(id=1, batch=4, grad_mode="no_grad"), rows=Rows(model))
    (site,) = frame.dropouts
    assert (site.unit, site.total) == (unit, draws)


def line(function: Any, offset: int) -> str:
    return f"{__file__}:{inspect.getsourcelines(function)[1] + offset}"


class Hidden(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6)
        self.p = 0.4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.dropout(self.inner(x), 0.5)
        x = F.dropout(x, p=self.p, training=self.training)
        x = nn.Dropout(0.25)(x)
        x = torch.dropout(x, 0.1, True)
        if self.training:
            x = F.dropout(x, 0.2)
        return scripted_dropout(x)


def test_dropout_as_a_function_is_found_with_line_p_and_whether_it_follows_the_flag() -> None:
    seen = modelight.observe(nn.Sequential(Hidden()).train(), torch.randn(8, 6), seed=0)
    found = [(drop.path, drop.function, drop.p, drop.follows_flag, drop.source) for drop in seen.dropouts]
    assert found == [
        # The code around mentions the flag, so that what the first call does in eval cannot be told from train alone.
        ("0", "F.dropout", 0.5, None, line(Hidden.forward, 1)),
        ("0", "F.dropout", 0.4, True, line(Hidden.forward, 2)),
        ("0", "Dropout", 0.25, False, line(Hidden.forward, 3)),
        ("0", "torch.dropout", 0.1, None, line(Hidden.forward, 4)),
        ("0", "F.dropout", 0.2, None, line(Hidden.forward, 6)),
        ("0", "scripted_dropout", 0.4, None, line(Hidden.forward, 7)),
    ]


def test_in_eval_what_still_drops_does_not_follow_the_flag_and_the_rest_is_listed_as_dropping_nothing() -> None:
    seen = modelight.observe(nn.Sequential(Hidden()).eval(), torch.randn(8, 6), seed=0)
    assert [(drop.function, drop.p, drop.follows_flag, drop.observed == 0.0) for drop in seen.dropouts] == [
        ("F.dropout", 0.5, False, False),
        ("F.dropout", 0.4, True, True),
        ("Dropout", 0.25, False, False),
        ("torch.dropout", 0.1, False, False),
        ("scripted_dropout", 0.4, False, False),
    ]
    assert seen.random
    assert seen.dropouts[1].source == line(Hidden.forward, 2) and not seen.dropouts[1].active


class Default(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x)


def test_a_default_argument_in_code_that_never_asks_for_the_flag_does_not_follow_it_in_train_either() -> None:
    drop, _ = only(Default().train(), torch.randn(4, 4))
    assert (drop.p, drop.follows_flag) == (0.5, False)


def test_a_dropout_in_a_plain_list_belongs_to_the_module_that_calls_it() -> None:
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Dropout(0.5)]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers[0](x)

    drop, _ = only(nn.Sequential(Holder()).eval(), torch.randn(4, 4))
    assert (drop.path, drop.function, drop.follows_flag) == ("0", "Dropout", False)


@pytest.mark.parametrize("mode", GRAD_MODES)
@pytest.mark.parametrize("randomness", ["different", "same"])
def test_a_layer_within_vmap_has_one_mask_for_all_samples(randomness: str, mode: GradMode) -> None:
    def forward(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return torch.vmap(module.get_submodule("drop"), randomness=randomness)(x)

    model, value = Calls(forward, drop=nn.Dropout(0.4)), torch.randn(30, 6) + 10
    seen = modelight.observe(model, value, seed=3, grad_mode=mode)
    (drop,) = seen.dropouts
    assert drop.path == "drop" and drop.dropped is not None
    assert torch.equal(drop.dropped.expand(30, 6), seen.output == 0)


@pytest.mark.parametrize("training", [True, False])
def test_a_jagged_tensor_is_dropped_from_as_its_values_lie(training: bool) -> None:
    def forward(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        nested = torch.nested.nested_tensor([x[:3], x[3:]], layout=torch.jagged)
        return F.dropout(module.get_submodule("drop")(nested), 0.2, module.training).values()

    model = Calls(forward, drop=nn.Dropout(0.4)).train(training)
    layer, function = modelight.observe(model, torch.randn(9, 6) + 10, seed=3).dropouts
    assert (layer.path, function.path) == ("drop", "") and layer.active == function.active == training
    if training:
        assert layer.dropped is not None and layer.dropped.shape == (9, 6)


def test_a_forward_that_switches_itself_to_train_drops_whatever_its_flag() -> None:
    def forward(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        before = module.training
        module.train()
        x = module.get_submodule("drop")(x)
        module.train(before)
        return x

    model = Calls(forward, drop=nn.Dropout(0.4))
    assert [drop.follows_flag for drop in modelight.observe(model, torch.ones(5)).dropouts] == [True]
    (drop,) = modelight.observe(model.eval(), torch.ones(5)).dropouts
    assert drop.active and drop.follows_flag is False
    inputs = Inputs((torch.ones(1, 5),), {}, 1)
    command = Run(id=1, seed=0, repeats=1, batch=1, grad_mode="no_grad")
    (shown,) = runner.run(model, inputs, command, rows=Rows(model)).dropouts
    assert shown.active and shown.follows_flag is False


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_dropout_in_a_script_follows_its_flag_and_one_that_was_traced_does_not() -> None:
    layers, value = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.4)), torch.randn(30, 6)
    scripted = torch.jit.script(layers)
    traced = torch.jit.trace(layers, value, check_trace=False)
    first, second = modelight.observe(nn.Sequential(scripted, traced), value).dropouts
    assert (first.path, first.follows_flag, second.path, second.follows_flag) == ("0", True, "1", False)
    assert first.dropped is not None and second.dropped is not None


class Switched(nn.Module):
    always = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, 0.4, self.training or self.always)


def test_a_setting_that_overrides_the_flag_is_told_in_train_as_in_eval() -> None:
    model, value = Switched(), torch.ones(50)
    assert [drop.follows_flag for drop in modelight.observe(model, value).dropouts] == [True]
    model.always = True
    for training in (True, False):
        (drop,) = modelight.observe(model.train(training), value).dropouts
        assert drop.active and drop.follows_flag is False
