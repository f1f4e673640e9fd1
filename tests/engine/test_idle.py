"""Dropout functions that drop nothing now: heard by their call, which nothing else sees and nothing changes."""

from __future__ import annotations

import inspect
import sys
import threading
import types
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import modelight
from modelight.engine.errors import EngineError
from modelight.engine.observing.idle import Call, idle_calls
from tests.engine.layers import Calls
from tests.engine.observing import GRAD_MODES, bare, bits


class Branches(nn.Module):
    """Each way to drop nothing: by the flag, by p = 0, by a default, by attention without dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.p = 0.3
        self.unregistered = [nn.Dropout(0.0)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.dropout(x, p=self.p, training=self.training)
        x = F.dropout(x, 0.0)
        x = F.alpha_dropout(x, 0.2)
        x = torch.dropout(x, 0.1, self.training)
        x = nn.functional.dropout1d(x, 0.6, self.training)
        x = self.unregistered[0](x)
        x = F.scaled_dot_product_attention(x, x, x, dropout_p=self.p if self.training else 0.0)
        return F.scaled_dot_product_attention(x, x, x)


def line(offset: int) -> str:
    return f"{__file__}:{inspect.getsourcelines(Branches.forward)[1] + offset}"


@pytest.fixture(autouse=True)
def _nothing_stays() -> Any:
    functions = dict(vars(F))
    yield
    assert type(F) is type(torch) is types.ModuleType
    assert vars(F) == functions


@pytest.mark.parametrize("mode", GRAD_MODES)
def test_each_call_that_drops_nothing_is_listed_with_p_line_and_whether_it_follows_the_flag(mode: Any) -> None:
    model, value = nn.Sequential(Branches()).eval(), torch.randn(2, 5, 6)
    seen = modelight.observe(model, value, seed=1, grad_mode=mode)
    assert [(drop.path, drop.function, drop.p, drop.follows_flag, drop.source) for drop in seen.dropouts] == [
        ("0", "F.dropout", 0.3, True, line(1)),
        ("0", "F.dropout", 0.0, None, line(2)),
        ("0", "F.alpha_dropout", 0.2, None, line(3)),
        ("0", "torch.dropout", 0.1, True, line(4)),
        ("0", "F.dropout1d", 0.6, True, line(5)),
        ("0", "Dropout", 0.0, False, line(6)),
        # Attention that says nothing of dropout, as in the last line, is none.
        ("0", "scaled_dot_product_attention", 0.0, True, line(7)),
    ]
    shapes = [(2, 5, 6)] * 6 + [(2, 5, 5)]
    for drop, shape in zip(seen.dropouts, shapes, strict=True):
        assert drop.observed == 0.0 and not drop.active and drop.unseen is None
        assert drop.dropped is not None and drop.dropped.shape == shape and not drop.dropped.any()
    assert bits(seen.output) == bits(bare(model, mode, 1, value))


def test_in_train_the_same_lines_drop_and_none_is_listed_twice() -> None:
    seen = modelight.observe(Branches().train(), torch.randn(2, 5, 6), seed=1)
    active = {drop.source: drop.active for drop in seen.dropouts}
    assert active == {line(n): n not in (2, 3, 6) for n in range(1, 8)} and len(seen.dropouts) == 7


def test_layers_of_torch_are_not_listed_a_second_time_for_the_function_they_call() -> None:
    layers = nn.Sequential(nn.Dropout(0.2), nn.Dropout2d(0.2), nn.AlphaDropout(0.2)).eval()
    seen = modelight.observe(layers, torch.randn(2, 3, 4, 4))
    assert [(drop.path, drop.function) for drop in seen.dropouts] == [
        ("0", "Dropout"),
        ("1", "Dropout2d"),
        ("2", "AlphaDropout"),
    ]
    encoder = nn.TransformerEncoderLayer(8, 2, 8, dropout=0.0, batch_first=True)
    seen = modelight.observe(encoder.train(), torch.randn(2, 3, 8))
    assert {drop.function for drop in seen.dropouts} == {"Dropout"}


def test_a_name_imported_during_the_run_is_the_function_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "late_drop.py").write_text("from torch.nn.functional import dropout\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def forward(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        import late_drop  # type: ignore[import-not-found]

        return late_drop.dropout(x, 0.5, module.training)  # type: ignore[no-any-return]

    modelight.observe(Calls(forward).eval(), torch.ones(3))
    assert sys.modules.pop("late_drop").dropout is F.dropout


def test_tensor_subclasses_are_asked_about_the_function_itself() -> None:
    asked = []

    class Asking(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            asked.append(func)
            return super().__torch_function__(func, types, args, kwargs or {})

    value = torch.ones(3).as_subclass(Asking)
    dropout = F.dropout
    with idle_calls(lambda call: None):
        F.dropout(value, 0.5, False)
    assert dropout in asked


def test_what_is_assigned_during_the_run_is_assigned() -> None:
    kept, heard = F.dropout, []
    with idle_calls(heard.append):
        try:
            F.dropout = lambda x, p=0.5, training=True, inplace=False: x + 1  # type: ignore[assignment]
            assert F.dropout(torch.zeros(1), 0.5, False).item() == 1
        finally:
            F.dropout = kept
    assert heard == [Call("F.dropout", 0.5, (1,))]


def test_other_threads_are_not_heard_and_nested_listeners_are() -> None:
    outer: list[Call] = []
    inner: list[Call] = []
    with idle_calls(outer.append), idle_calls(inner.append):
        thread = threading.Thread(target=lambda: F.dropout(torch.zeros(1), 0.5, False))
        thread.start()
        thread.join()
        F.dropout(torch.zeros(2), 0.25, False)
    assert outer == inner == [Call("F.dropout", 0.25, (2,))]


@pytest.mark.parametrize("mode", GRAD_MODES)
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_dropout_between_recurrent_layers_is_listed_as_off_in_eval(kind: type[nn.RNNBase], mode: Any) -> None:
    model, value = nn.Sequential(kind(4, 5, 3, dropout=0.3)), torch.randn(7, 2, 4)
    seen = modelight.observe(model.eval(), value, grad_mode=mode)
    assert [
        (drop.path, drop.function, drop.p, drop.observed, drop.follows_flag, drop.call) for drop in seen.dropouts
    ] == [("0", kind.__name__, 0.3, 0.0, True, call) for call in (0, 1)]
    assert all(drop.dropped is not None and drop.dropped.shape == (7, 2, 5) for drop in seen.dropouts)
    if mode != "inference_mode":  # there the fused operator hides its masks
        train = modelight.observe(model.train(), value, grad_mode=mode).dropouts
        assert [drop.call for drop in train if drop.active and drop.dropped is not None] == [0, 1]
        assert all(drop.dropped is not None and drop.dropped.shape == (7, 2, 5) for drop in train)
    assert modelight.observe(kind(4, 5, 1).eval(), value).dropouts == []


@pytest.mark.parametrize("batch_first", [True, False])
def test_dropout_of_attention_weights_is_listed_as_off_in_eval(batch_first: bool) -> None:
    attention = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=batch_first)
    model = Calls(lambda m, q, k: m.a(q, k, k)[0], a=attention)
    query, key = torch.randn(3, 5, 8), torch.randn(3, 7, 8)
    if not batch_first:
        query, key = query.transpose(0, 1), key.transpose(0, 1)
    (drop,) = modelight.observe(model.eval(), query, key).dropouts
    assert (drop.path, drop.function, drop.p, drop.observed) == ("a", "MultiheadAttention", 0.1, 0.0)
    assert drop.dropped is not None and drop.dropped.shape == (3, 2, 5, 7)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_stays_after_an_exception(error: type[BaseException]) -> None:
    def forward(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        F.dropout(x, 0.5, module.training)
        raise error

    with pytest.raises((EngineError, KeyboardInterrupt)):
        modelight.observe(Calls(forward).eval(), torch.ones(3))


def test_arguments_that_torch_refuses_are_refused_by_torch() -> None:
    with idle_calls(lambda call: None):
        with pytest.raises(ValueError, match="dropout probability has to be between"):
            F.dropout(torch.ones(3), 1.5, False)
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            F.dropout()  # type: ignore[call-arg]


def test_attention_called_with_arguments_by_name_is_listed_without_a_shape() -> None:
    def forward(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return module.get_submodule("attention")(query=x, key=x, value=x)[0]

    attention = nn.MultiheadAttention(6, 2, dropout=0.3, batch_first=True)
    seen = modelight.observe(Calls(forward, attention=attention).eval(), torch.randn(2, 4, 6))
    (drop,) = seen.dropouts
    assert (drop.path, drop.p, drop.observed, drop.dropped) == ("attention", 0.3, 0.0, None)
