"""On a CUDA device: what is seen there is as true, and a run leaves as little behind. Skipped where there is none.

An output is "the same" there if it lies no further from a bare run's than two bare runs lie apart.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils import _pytree

import modelight
from modelight.engine.check import check
from modelight.engine.errors import EngineError
from modelight.engine.experiments import gradients, matrix, mc_dropout, same
from modelight.engine.loading import inputs as loading_inputs
from modelight.engine.loading.opening import open_model
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import rng, runner
from modelight.engine.observing.memory import distance
from modelight.engine.observing.outputs import fields
from modelight.protocol import AskGradients, Example, GradMode, Open, Run
from modelight.sample_models import digits_cnn
from tests.engine.layers import ALL, DROPOUT, Calls
from tests.engine.observing import GRAD_MODES, bare, build, state_bits
from tests.engine.test_masks import PLAIN
from tests.engine.zoo import HAND, TRANSFORMERS

if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")


def there(value: Any) -> Any:
    """Modules and tensors on the device."""
    if isinstance(value, nn.Module):
        return value.to("cuda")
    return _pytree.tree_map(lambda item: item.to("cuda") if isinstance(item, torch.Tensor) else item, value)


def states() -> list[torch.Tensor]:
    return [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]


def gap(left: Any, right: Any) -> float:
    pairs = zip(fields(left), fields(right), strict=True)
    return max((distance(one, other) or 0.0 for (_, one), (_, other) in pairs), default=0.0)


def compare(make: Callable[[], tuple[nn.Module, Any]]) -> None:
    """Under each grad mode: two bare runs and an observed one, each of a model made anew."""

    def fresh() -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
        rng.seed(0)
        model, given = make()
        model, given = there(model), there(given)
        return (model, (), given) if isinstance(given, dict) else (model, (given,), {})

    for mode in GRAD_MODES:
        model, args, kwargs = fresh()
        try:
            first = bare(model, mode, 5, *args, **kwargs)
        except RuntimeError as error:  # torch's own: cuDNN's recurrent layers in eval under inference_mode
            model, args, kwargs = fresh()
            with pytest.raises(EngineError) as caught:
                modelight.observe(model, *args, seed=5, grad_mode=mode, **kwargs)
            assert str(caught.value.__cause__) == str(error)
            continue
        model, args, kwargs = fresh()
        second = bare(model, mode, 5, *args, **kwargs)
        model, args, kwargs = fresh()
        before, drawn = state_bits(model), states()
        seen = modelight.observe(model, *args, seed=5, grad_mode=mode, **kwargs).output
        assert state_bits(model) == before
        assert all(torch.equal(now, then) for now, then in zip(states(), drawn, strict=True))
        assert gap(first, seen) <= gap(first, second)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ALL)
def test_a_layer_gives_the_same_output(name: str, training: bool) -> None:
    compare(lambda: build(ALL[name], training))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", [*HAND, *(pytest.param(name, marks=pytest.mark.package) for name in TRANSFORMERS)])
def test_a_model_gives_the_same_output(name: str, training: bool) -> None:
    def make() -> tuple[nn.Module, Any]:
        model, given = {**HAND, **TRANSFORMERS}[name]()
        return model.train(training), given

    compare(make)


@pytest.mark.parametrize("mode", GRAD_MODES)
@pytest.mark.parametrize("name", PLAIN)
def test_where_no_input_is_zero_the_mask_is_where_the_output_is(name: str, mode: GradMode) -> None:
    model, value = build(DROPOUT[name], training=True)
    seen = modelight.observe(there(model), there(value), seed=0, grad_mode=mode)
    (drop,) = seen.dropouts
    assert drop.unseen is None and drop.dropped is not None
    assert torch.equal(drop.dropped.cpu(), seen.output.cpu() == 0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("mode", GRAD_MODES)
def test_masks_of_zeros_and_of_every_type(dtype: torch.dtype, mode: GradMode) -> None:
    drop, zeros = nn.Dropout(0.5).train(), torch.zeros(4096, device="cuda", dtype=dtype)
    masks = []
    for value in (zeros, zeros + 1):
        (seen,) = modelight.observe(drop, value, seed=3, grad_mode=mode).dropouts
        assert seen.dropped is not None
        masks.append(seen.dropped.cpu())
    assert torch.equal(*masks) and 0.4 < masks[0].float().mean() < 0.6


def test_what_a_fused_kernel_hides_is_unseen() -> None:
    def attend(m: Any, x: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(x, x, x, dropout_p=0.25)

    value = torch.randn(2, 4, 16, 32, device="cuda", dtype=torch.float16)
    seen = modelight.observe(Calls(attend), value, seed=0)
    assert [drop.p for drop in seen.dropouts] == [0.25] and seen.random
    lstm = nn.LSTM(8, 8, num_layers=3, dropout=0.5).cuda().train()
    for drop in (*seen.dropouts, *modelight.observe(lstm, torch.randn(5, 2, 8, device="cuda"), seed=0).dropouts):
        assert (drop.dropped is None) == (drop.unseen is not None)


def test_statistics_of_batches_are_those_of_the_input() -> None:
    torch.manual_seed(0)
    model, value = nn.BatchNorm2d(5).cuda(), torch.randn(6, 5, 7, 7, device="cuda") * 3 + 2
    expected = value.double().transpose(0, 1).flatten(1)
    for training in (True, False):
        norm = modelight.observe(model.train(training), value).norms[""]
        assert norm.batch_mean is not None and norm.batch_var is not None
        mean, var = (torch.from_numpy(part.numpy()[0]) for part in (norm.batch_mean, norm.batch_var))
        torch.testing.assert_close(mean, expected.mean(1).cpu(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(var, expected.var(1, correction=0).cpu(), rtol=1e-4, atol=1e-5)
    ledger = modelight.observe(model.train(), value).ledger
    assert (ledger.parameters, ledger.buffers) == (0, 3)


@pytest.mark.parametrize("limit", [25_000_000, 0], ids=["copied", "before a write"])
def test_parameters_that_a_forward_writes_are_put_back(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelight.engine.observing.guard.COPIED_PARAMETERS", limit)
    model = nn.Embedding(10, 4, max_norm=0.01).cuda()
    before = state_bits(model)
    seen = modelight.observe(model, torch.arange(10, device="cuda"))
    assert state_bits(model) == before and seen.ledger.parameters == 1 and seen.ledger.entries[0].restored


def test_the_incident_is_the_same_there() -> None:
    opened = open_model(Open(id=1, spec="modelight.sample_models.digits_cnn:build", device="cuda"))
    assert {tensor.device.type for tensor in opened.module.state_dict().values()} == {"cuda"}
    fed, info = loading_inputs.prepare([Example()], opened)
    rows = Rows(opened.module)
    before = state_bits(opened.module)
    frame = runner.run(opened.module, fed, Run(id=1, grad_mode="no_grad", batch=1, repeats=4), rows=rows)
    assert frame.outputs[0].values is not None
    answers = torch.from_numpy(frame.outputs[0].values.numpy()).softmax(-1)[..., 0]
    assert answers.mean().item() == pytest.approx(0.548, abs=0.01)
    assert all(capture.stats is not None for capture in frame.modules if capture.calls)
    table = matrix.compare(opened.module, fed, rows, seed=0, batch=1, runs=2, info=info)
    assert [cell.problem for cell in table.cells] == [None] * 6
    assert mc_dropout.mc_dropout(opened.module, fed, rows, seed=0, passes=4, batch=8, info=info).passes == 4
    asked = AskGradients(id=1, seed=0, batch=8)
    assert gradients.gradients(opened.module, fed, rows, asked, info=info).modules
    assert not same.same_answer(opened.module, fed, rows, grad_mode="no_grad", seed=0, runs=4).exact_again
    assert state_bits(opened.module) == before


def test_check_finds_the_incident_and_tries_the_cure() -> None:
    model, value = digits_cnn.build(), digits_cnn.example_input().cuda()
    assert digits_cnn.CHECKPOINT is not None
    model.load_state_dict(torch.load(digits_cnn.CHECKPOINT, weights_only=True))
    found = check(model.cuda().train(), value)
    assert "ML101" in {finding.id for finding in found.findings}


def test_out_of_memory_is_told_as_such_and_leaves_the_model_usable(tmp_path: Path) -> None:
    model = Calls(lambda m, x: x.new_empty(1 << 45) if x.sum() > 0 else x)
    model.register_buffer("seen", torch.zeros(3))
    model.cuda()
    with pytest.raises(EngineError) as caught:
        modelight.observe(model, torch.ones(2, device="cuda"))
    assert caught.value.kind == "memory"
    assert modelight.observe(model, torch.zeros(2, device="cuda")).output.sum() == 0
    code = """
import torch
from torch import nn

def build():
    model = nn.Module()
    model.register_buffer("one", torch.zeros(1).expand(1 << 45))
    return model
"""
    (tmp_path / "large_net.py").write_text(code)
    with pytest.raises(EngineError, match="does not fit into the memory of cuda") as caught:
        open_model(Open(id=1, spec="large_net.py:build", directory=str(tmp_path), device="cuda"))
    assert caught.value.kind == "memory"


def test_an_input_left_on_the_host_is_named() -> None:
    model = nn.Sequential(nn.Linear(3, 3)).cuda()
    with pytest.raises(EngineError) as caught:
        modelight.observe(model, torch.ones(2, 3))
    assert caught.value.kind == "run" and caught.value.module == "0"


def test_half_precision_and_autocast_are_seen() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)).cuda().train()
    value = torch.randn(16, 8, device="cuda")
    with torch.autocast("cuda", torch.float16):
        seen = modelight.observe(model, value, seed=0)
        plain = bare(model, "no_grad", 0, value)
    assert seen.modules["0"].dtype == "float16"
    assert gap(seen.output, plain) == 0 or torch.is_floating_point(plain)
    assert seen.dropouts[0].dropped is not None
    assert torch.equal(seen.dropouts[0].dropped.cpu(), seen.output.cpu() == 0)


def test_captures_hold_what_torch_says() -> None:
    value = torch.randn(8, 3, 32, 32, device="cuda")
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(inplace=True)).cuda().eval()
    with torch.no_grad():
        first = model[0](value)
    seen = modelight.observe(model, value)
    stats, after = seen.modules["0"].stats, seen.modules["1"].stats
    assert stats is not None and after is not None
    assert (stats.minimum, stats.maximum) == (first.min().item(), first.max().item())
    assert (after.minimum, after.maximum) == (0, first.max().item())
