"""One test for each row of the table of effective behaviour, through the Python API, against torch itself.

Details of each row have tests of their own (``test_catalog_*``, ``test_masks``, ``test_policy``, ``test_listen``).
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.ao.quantization import FakeQuantize
from torch.nn.utils import parametrizations

import modelight
from modelight.engine.errors import EngineError
from tests.engine.layers import Calls
from tests.engine.observing import bare, state_bits

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def effect(seen: modelight.Observation, path: str = "0") -> set[str]:
    return {clause.id for clause in seen.modules[path].effect}


def moved(seen: modelight.Observation) -> dict[str, float | None]:
    return {entry.name: entry.max_change for entry in seen.ledger.entries if entry.kind in ("parameter", "buffer")}


@pytest.mark.parametrize("kind", [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d])
def test_row_dropout_drops_only_if_training_and_p_above_zero(kind: Any) -> None:
    value = torch.randn(6, 5, *[3] * {nn.Dropout: 1, nn.Dropout1d: 1, nn.Dropout2d: 2}.get(kind, 3)) + 10
    for training, p in ((True, 0.5), (True, 0.0), (False, 0.5), (True, 1.0)):
        seen = modelight.observe(nn.Sequential(kind(p)).train(training), value, seed=1)
        (drop,) = seen.dropouts
        assert drop.dropped is not None and torch.equal(drop.dropped, seen.output == 0)
        assert drop.active == (training and p > 0) and drop.dropped.any() == drop.active
        if kind is not nn.Dropout:  # whole channels
            assert torch.equal(drop.dropped.flatten(2).all(2), drop.dropped.flatten(2).any(2))


@pytest.mark.parametrize("kind", [nn.AlphaDropout, nn.FeatureAlphaDropout])
def test_row_alpha_dropout_sets_a_negative_constant_and_zero_only_at_p_1(kind: Any) -> None:
    value = torch.randn(6, 5, 3, 3)
    seen = modelight.observe(nn.Sequential(kind(0.5)), value, seed=1)
    (drop,) = seen.dropouts
    assert drop.dropped is not None and drop.dropped.any() and drop.alpha
    fallen = seen.output[drop.dropped]
    assert (fallen < 0).all() and torch.allclose(fallen, fallen[0])
    assert not modelight.observe(nn.Sequential(kind(1.0)), value).output.any()


BATCH = {
    "plain": lambda: nn.BatchNorm1d(4),
    "cumulative": lambda: nn.BatchNorm1d(4, momentum=None),
    "momentum 0": lambda: nn.BatchNorm1d(4, momentum=0.0),
    "untracked": lambda: nn.BatchNorm1d(4, track_running_stats=False),
    "synchronised": lambda: nn.SyncBatchNorm(4),
    "lazy": lambda: nn.LazyBatchNorm1d(),
    "without buffers": lambda: without_buffers(nn.BatchNorm1d(4)),
    "tracking switched off": lambda: toggled(nn.BatchNorm1d(4)),
}


def without_buffers(norm: nn.BatchNorm1d) -> nn.BatchNorm1d:
    norm.running_mean = norm.running_var = None
    return norm


def toggled(norm: nn.BatchNorm1d) -> nn.BatchNorm1d:
    norm.track_running_stats = False
    return norm


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", BATCH)
def test_row_batch_norm_uses_and_updates_what_its_actual_state_says(name: str, training: bool) -> None:
    torch.manual_seed(0)
    model, value = nn.Sequential(BATCH[name]()).train(training), torch.randn(9, 4) * 3 + 2
    seen = modelight.observe(model, value)
    before = copy.deepcopy(model)
    expected = bare(model, "no_grad", 0, value)
    assert torch.equal(seen.output, expected)
    changed = {
        name: (tensor.double() - before.get_buffer(name).double()).abs().max().item()
        for name, tensor in model.named_buffers()
        if not torch.equal(tensor, before.get_buffer(name))
    }
    assert moved(seen) == changed
    own = (value - value.mean(0)) / (value.var(0, unbiased=False) + 1e-5).sqrt()
    uses_batch = torch.allclose(expected, own, atol=1e-4)
    capture = seen.norms["0"]
    assert (capture.uses == "batch") == uses_batch
    # With momentum 0 it updates, and nothing moves.
    assert capture.updates == ("0.running_mean" in changed or (name == "momentum 0" and training))
    assert any(id_.startswith("batch-stats") for id_ in effect(seen)) == uses_batch


def test_row_batch_norm_with_one_value_per_channel_raises_and_the_layer_is_named() -> None:
    with pytest.raises(EngineError) as raised:
        modelight.observe(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), torch.randn(1, 3))
    assert raised.value.module == "1" and raised.value.clause is not None
    assert raised.value.clause.id == "raised-one-value"


def test_row_instance_norm_with_tracking_uses_running_statistics_in_eval_only_and_never_counts() -> None:
    value = torch.randn(2, 4, 8) * 3 + 2
    for momentum in (0.1, None):
        norm = nn.InstanceNorm1d(4, track_running_stats=True, momentum=momentum)
        seen = modelight.observe(nn.Sequential(norm).train(), value)
        assert torch.allclose(seen.output.mean(2), torch.zeros(2, 4), atol=1e-5)
        assert set(moved(seen)) == ({"0.running_mean", "0.running_var"} if momentum else set())
        seen = modelight.observe(nn.Sequential(norm).eval(), value)
        assert torch.allclose(seen.output, value, atol=1e-3) and not moved(seen)
    untracked = nn.Sequential(nn.InstanceNorm1d(4))
    assert effect(modelight.observe(untracked.train(), value)) == effect(modelight.observe(untracked.eval(), value))


def test_row_rrelu_has_a_random_slope_in_training_and_a_fixed_one_in_eval() -> None:
    model, value = nn.Sequential(nn.RReLU(0.1, 0.3)), -torch.ones(50)
    train, eval_ = modelight.observe(model.train(), value, seed=1), modelight.observe(model.eval(), value, seed=1)
    assert len(train.output.unique()) > 10 and train.random and "random-slope" in effect(train)
    assert torch.allclose(eval_.output, torch.tensor(-0.2)) and not eval_.random and "random-slope" not in effect(eval_)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_row_lstm_gru_rnn_dropout_lies_between_layers_in_training_only(kind: Any) -> None:
    model, value = nn.Sequential(kind(4, 5, 3, dropout=0.5)), torch.randn(6, 2, 4)
    for mode in ("enabled", "no_grad", "inference_mode"):
        drops = modelight.observe(model.train(), value, seed=1, grad_mode=mode).dropouts
        if mode == "inference_mode":
            assert [drop.unseen.id for drop in drops if drop.unseen is not None] == ["fused-kernel"]
        else:
            assert [drop.dropped.any().item() for drop in drops if drop.dropped is not None] == [True, True]
        assert all(drop.observed == 0.0 for drop in modelight.observe(model.eval(), value, grad_mode=mode).dropouts)


def test_row_transformer_encoder_layer_stays_fused_and_its_silent_layers_are_seen_in_a_labelled_second_run() -> None:
    model, value = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 8, batch_first=True)).eval(), torch.randn(2, 3, 8)
    seen = modelight.observe(model, value, seed=1)
    assert torch.equal(seen.output, bare(model, "no_grad", 1, value))
    assert "slow-path" in {note.id for note in seen.notes} and seen.modules["0.linear1"].called == 1
    hooked = copy.deepcopy(model)
    hooked[0].linear1.register_forward_hook(lambda *_: None)  # what a hook does to the fused path
    assert "slow-path" not in {note.id for note in modelight.observe(hooked, value).notes}


def test_row_multihead_attention_drops_in_training() -> None:
    attention, value = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True), torch.randn(2, 3, 8)
    model = Calls(lambda m, x: m.a(x, x, x)[1], a=attention)
    (train,) = modelight.observe(model.train(), value, seed=1).dropouts
    (off,) = modelight.observe(model.eval(), value, seed=1).dropouts
    assert train.path == off.path == "a" and train.dropped is not None and train.dropped.any()
    assert (off.p, off.observed) == (0.5, 0.0)


FUNCTIONS = {
    F.dropout: True,
    F.dropout1d: True,
    F.dropout2d: True,
    F.dropout3d: True,
    F.alpha_dropout: False,
    F.feature_alpha_dropout: False,
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_row_dropout_called_as_a_function_is_on_by_default_whatever_the_flag(function: Any, training: bool) -> None:
    dims = 3 if function is F.dropout1d else 5 if function is F.dropout3d else 4

    class Block(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return getattr(F, function.__name__)(x)  # type: ignore[no-any-return]

    seen = modelight.observe(nn.Sequential(Block()).train(training), torch.randn(6, 9, *[2] * (dims - 2)) + 9, seed=1)
    (drop,) = seen.dropouts
    assert (drop.path, drop.p, drop.active) == ("0", 0.5, FUNCTIONS[function])
    assert drop.source == f"{__file__}:{inspect.getsourcelines(Block.forward)[1] + 1}"
    assert drop.dropped is not None and drop.dropped.any().item() == FUNCTIONS[function]
    if drop.active:
        assert drop.follows_flag is False and torch.equal(drop.dropped, seen.output == 0)


@pytest.mark.parametrize("training", [True, False])
def test_row_scaled_dot_product_attention_has_no_training_flag(training: bool) -> None:
    identity = torch.eye(4).expand(2, 1, 4, 4)
    model = Calls(lambda m, q: F.scaled_dot_product_attention(q, q, identity, dropout_p=0.5)).train(training)
    seen = modelight.observe(model, torch.randn(2, 1, 4, 3), seed=1)
    (drop,) = seen.dropouts
    assert drop.dropped is not None and drop.dropped.any() and torch.equal(drop.dropped, seen.output == 0)
    assert drop.follows_flag is False


@pytest.mark.parametrize("form", ["hook", "parametrization"])
def test_row_spectral_norm_moves_its_vectors_in_training_only(form: str) -> None:
    wrap = nn.utils.spectral_norm if form == "hook" else parametrizations.spectral_norm
    model, value = nn.Sequential(wrap(nn.Linear(4, 3))), torch.randn(2, 4)
    before = state_bits(model.train())
    assert {name.rpartition("_")[2] for name in moved(modelight.observe(model, value))} == {"u", "v"}
    assert state_bits(model) == before
    assert not moved(modelight.observe(model.eval(), value))


class AuxiliaryHead(nn.Module):
    """As detectors and Inception do: another structure in training, and targets wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.aux = nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor, targets: torch.Tensor | None = None) -> Any:
        if self.training:
            if targets is None:
                raise ValueError("targets required in training")
            return {"main": self.head(x), "aux": self.aux(x)}
        return self.head(x)


def test_row_output_structure_may_differ_between_modes_and_missing_targets_are_explained() -> None:
    model, value = nn.Sequential(AuxiliaryHead()), torch.randn(3, 4)
    assert modelight.observe(model.eval(), value).output.shape == (3, 2)
    assert modelight.observe(model, value).modules["0.aux"].called == 0
    train = modelight.observe(model[0].train(), value, targets=value)
    assert set(train.output) == {"main", "aux"}
    with pytest.raises(EngineError) as raised:
        modelight.observe(nn.Sequential(AuxiliaryHead()), value)
    assert raised.value.module == "0" and raised.value.clause is not None
    assert raised.value.clause.id == "raised-without-targets"


def test_row_fake_quantize_writes_its_scale_in_eval_too() -> None:
    model = nn.Sequential(FakeQuantize()).eval()
    before = state_bits(model)
    assert "0.scale" in moved(modelight.observe(model, torch.randn(4, 4)))
    assert state_bits(model) == before


def test_row_any_module_that_reads_self_training_is_found_by_listening() -> None:
    class Reader(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if self.training else x

    seen = modelight.observe(nn.Sequential(nn.Linear(3, 3), Reader()), torch.randn(2, 3))
    (read,) = seen.flag_reads
    assert (read.path, read.count) == ("1", 1)
    assert read.source == f"{__file__}:{inspect.getsourcelines(Reader.forward)[1] + 1}"
    assert "reads-flag" in effect(seen, "1") and "training" not in vars(nn.Module)


def test_modules_in_plain_lists_are_reached_by_no_train_and_are_heard_all_the_same() -> None:
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Dropout(0.5)]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers[0](x)  # type: ignore[no-any-return]

    seen = modelight.observe(nn.Sequential(Holder()).eval(), torch.ones(40), seed=1)
    (drop,) = seen.dropouts
    assert drop.path == "0" and drop.dropped is not None and torch.equal(drop.dropped, seen.output == 0)
    assert drop.follows_flag is False and drop.observed is not None and drop.observed > 0
