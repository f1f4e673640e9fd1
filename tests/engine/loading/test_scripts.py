"""TorchScript files are programs: what one would run while it is read, or do to files, is asked for first."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from modelight.engine import inspect
from modelight.engine.errors import EngineError
from modelight.engine.loading import checkpoint, scripts, whole

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
WRITER = """
import torch
from torch import nn
from typing import Tuple

class Writer(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.ones(2)

    def forward(self, x):
        {forward}
        return x * self.w

    @torch.jit.export
    def __getstate__(self) -> Tuple[torch.Tensor, bool]:
        return (self.w, self.training)

    @torch.jit.export
    def __setstate__(self, state: Tuple[torch.Tensor, bool]):
        self.w = state[0]
        self.training = state[1]
        {reading}
"""
STATELESS = """
import torch
from torch import nn

class Writer(nn.Module):
    def forward(self, x):
        {forward}
        return x
"""


def saved(tmp_path: Path, code: str) -> Path:
    """A script made from source that lies in a file, as torch.jit needs it."""
    (tmp_path / "writer.py").write_text(code)
    names: dict[str, type[nn.Module]] = {}
    exec(compile(code, str(tmp_path / "writer.py"), "exec"), names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(names["Writer"]()).save(str(tmp_path / "s.pt"))
    return tmp_path / "s.pt"


@pytest.mark.parametrize("read", [checkpoint.read, inspect.inspect, whole.load])
def test_a_script_that_runs_while_it_is_read_runs_nothing_without_consent(tmp_path: Path, read: object) -> None:
    trace = tmp_path / "was-run"
    path = saved(tmp_path, WRITER.format(forward="pass", reading=f"torch.save(state[0], {str(trace)!r})"))
    with pytest.raises(EngineError) as caught:
        read(path)  # type: ignore[operator]
    assert not trace.exists()
    error = caught.value
    assert error.kind == "consent" and error.clause is not None
    named = error.clause.values["globals"]
    assert isinstance(named, list) and len(named) == 2 and "torch.save" in named
    assert any(str(name).endswith("Writer.__setstate__") for name in named)
    assert error.clause.values["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()

    inspect.inspect(path, trust=True)
    assert trace.exists()  # the trap is a real one


@pytest.mark.parametrize("call", ["torch.save(x, 'f')", "x = torch.from_file('f', False, 2)"])
def test_a_script_that_would_touch_files_when_it_is_run_asks_too(tmp_path: Path, call: str) -> None:
    path = saved(tmp_path, STATELESS.format(forward=call))
    with pytest.raises(EngineError, match=r"would run code of its author \(torch\.(save|from_file)\)"):
        whole.load(path)


def test_spaces_and_lines_hide_no_name(tmp_path: Path) -> None:
    path = saved(tmp_path, STATELESS.format(forward="torch.save(x, 'f')"))
    assert scripts.effects(path.read_bytes()) == ["torch.save"]
    code = path.read_bytes().replace(b"torch.save(x", b"torch. save(")
    assert scripts.effects(code) == ["torch.save"]


def test_what_was_agreed_to_are_these_bytes_alone(tmp_path: Path) -> None:
    path = saved(tmp_path, WRITER.format(forward="pass", reading="pass"))
    agreed = [hashlib.sha256(path.read_bytes()).hexdigest()]
    assert isinstance(whole.load(path, trust=agreed), torch.jit.ScriptModule)
    path = saved(tmp_path, WRITER.format(forward="pass", reading="self.w = state[0] + 1"))
    with pytest.raises(EngineError) as caught:
        whole.load(path, trust=agreed)
    assert caught.value.kind == "consent"


def test_ordinary_scripts_traces_and_quantized_ones_need_no_consent(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(), nn.Linear(8, 2)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantized = torch.ao.quantization.quantize_dynamic(net, {nn.Linear}, dtype=torch.qint8)
        for script in (torch.jit.script(net), torch.jit.trace(net, torch.rand(2, 4)), torch.jit.script(quantized)):
            script.save(str(tmp_path / "s.pt"))
            assert isinstance(whole.load(tmp_path / "s.pt"), torch.jit.ScriptModule)
