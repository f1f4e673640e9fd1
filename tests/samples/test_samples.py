"""Every sample shows what its docstring tells."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from modelight.sample_models import SAMPLES, drop_path_net, hidden_dropout, mixed_frozen, norm_zoo, troublemaker

NAMES = [name for name, _, _ in SAMPLES]


def sample(name: str) -> ModuleType:
    return importlib.import_module(f"modelight.sample_models.{name}")


def run(model: nn.Module, given: Any, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    with torch.no_grad():
        output: torch.Tensor = model(**given) if isinstance(given, dict) else model(given)
    return output


def moved(model: nn.Module, given: Any) -> bool:
    """Whether the answer depends on the seed."""
    return not torch.equal(run(model, given, 0), run(model, given, 1))


@pytest.mark.parametrize("name", NAMES)
def test_each_sample_builds_and_runs_on_its_example(name: str) -> None:
    module = sample(name)
    assert module.CHECKPOINT is None or module.CHECKPOINT.is_file()
    assert run(module.build(), module.example_input()).isfinite().all()


def test_the_list_of_samples_needs_no_torch() -> None:
    code = "import sys, modelight.sample_models as s; assert s.SAMPLES; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["text_transformer", "tagger_lstm"])
def test_dropout_follows_the_flag(name: str) -> None:
    module = sample(name)
    model, given = module.build(), module.example_input()
    assert moved(model.train(), given)
    assert not moved(model.eval(), given)


def test_hooks_switch_the_fused_transformer_path_off() -> None:
    module = sample("text_transformer")
    model, given = module.build().eval(), module.example_input()
    fused = run(model, given)
    calls: list[str] = []
    model.encoder.layers[0].linear1.register_forward_hook(lambda *_: calls.append("linear1"))
    slow = run(model, given)
    assert calls == ["linear1"]
    torch.testing.assert_close(slow, fused, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["functional", "attention", "made_inside", "plain_list"])
def test_each_hidden_dropout_is_random_in_eval(name: str) -> None:
    model = hidden_dropout.build().eval()
    assert moved(getattr(model, name), hidden_dropout.example_input())


def test_only_the_forgetful_block_is_random_in_eval() -> None:
    careful, forgetful, _ = drop_path_net.build().eval().children()
    given = drop_path_net.example_input()
    assert not moved(careful, given)
    assert moved(forgetful, given)


def test_the_frozen_backbone_still_moves_its_second_norm() -> None:
    model = mixed_frozen.build()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    run(model, mixed_frozen.example_input())
    changed = {name for name, buffer in model.named_buffers() if not torch.equal(buffer, before[name])}
    assert changed == {f"backbone.4.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}
    assert not any(parameter.requires_grad for parameter in model.backbone.parameters())


def test_the_zoo_updates_what_its_configurations_say() -> None:
    model = norm_zoo.build()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    run(model, norm_zoo.example_input())
    after = dict(model.named_buffers())
    moving = {name.removesuffix(".running_mean") for name in before if name.endswith("running_mean")}
    moving = {name for name in moving if not torch.equal(before[f"{name}.running_mean"], after[f"{name}.running_mean"])}
    ones = {f"one.{name}" for name in ("plain", "cumulative", "no_affine", "instance_tracked")}
    assert moving == ones | {"two.plain", "two.tracked", "three.plain", "three.tracked"}


@pytest.mark.parametrize("when", ["build", "forward"])
@pytest.mark.parametrize(("trouble", "status"), [("exit", 3), ("segfault", -11), ("raise", 1), ("none", 0)])
def test_trouble_ends_the_process_as_asked(trouble: str, when: str, status: int) -> None:
    code = f"import modelight.sample_models.troublemaker as t; t.build({trouble!r}, {when!r})(t.example_input())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert done.returncode == status


def test_it_prints_on_every_way_out(capfd: pytest.CaptureFixture[str]) -> None:
    run(troublemaker.build("print"), troublemaker.example_input())
    out, err = capfd.readouterr()
    assert out.splitlines() == ["a line from print()", "a line written to file descriptor 1"]
    assert err == "a line on stderr\n"


def test_it_hangs() -> None:
    code = "import modelight.sample_models.troublemaker as t; print('here', flush=True); t.make('hang')"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.kill()


def test_unknown_trouble_is_said() -> None:
    with pytest.raises(ValueError, match="no trouble called 'rain'"):
        troublemaker.make("rain")  # type: ignore[arg-type]
