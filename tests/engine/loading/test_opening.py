"""Opening: the model stands as its own code left it, with its checkpoint and its example."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from modelight.engine.errors import Cancelled, EngineError
from modelight.engine.loading import checkpoint
from modelight.engine.loading.opening import OpenModel, open_model
from modelight.engine.process.failures import failure
from modelight.protocol import Clause, Open

NET = """
import random
import numpy as np
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=2):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.head = nn.Linear(4, classes)
        self.register_buffer("drawn", torch.tensor([np.random.rand(), random.random()]))

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))

def build():
    net = Net()
    net.features[1].eval()
    return net
"""
EXAMPLE = """
def example_input():
    return torch.rand(6, 1, 8, 8)

def example_labels():
    return [0, 1, 0, 1, 0, 1]

CLASSES = ["zero", "one"]
"""


def opened(folder: Path, code: str, spec: str = "build", **fields: object) -> OpenModel:
    (folder / "net_open.py").write_text(code)
    return open_model(Open(id=1, spec=f"net_open.py:{spec}", directory=str(folder), **fields))  # type: ignore[arg-type]


def test_modes_are_those_that_the_constructor_left(tmp_path: Path) -> None:
    module = opened(tmp_path, NET).module
    assert module.training
    assert not module.features[1].training
    assert module.features[2].training


def test_the_seed_decides_torch_numpy_and_python(tmp_path: Path) -> None:
    first, again, other = (opened(tmp_path, NET, seed=seed).module for seed in (5, 5, 6))
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not torch.equal(first.head.weight, other.head.weight)
    assert not torch.isclose(first.drawn, other.drawn).any()
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    assert torch.equal(first.features[0].weight, nn.Conv2d(1, 4, 3).weight)


def test_the_files_own_checkpoint_is_loaded_and_its_buffers_are_remembered(tmp_path: Path) -> None:
    saved = opened(tmp_path, NET).module
    saved.features[1].running_mean.fill_(3.0)
    torch.save(saved.state_dict(), tmp_path / "own.pt")
    model = opened(tmp_path, NET + "CHECKPOINT = 'own.pt'\n", seed=1)
    assert model.report is not None
    assert (model.report.loaded, model.report.missing, model.report.unexpected) == (len(saved.state_dict()), [], [])
    model.module.features[1].running_mean.fill_(9.0)
    assert torch.equal(model.checkpoint_buffers["features.1.running_mean"], torch.full((4,), 3.0))
    assert not model.module.features[1].training


def test_a_named_checkpoint_wins_over_the_files_own(tmp_path: Path) -> None:
    saved = opened(tmp_path, NET).module
    torch.save(saved.state_dict(), tmp_path / "named.pt")
    model = opened(tmp_path, NET + "CHECKPOINT = 'not_there.pt'\n", checkpoint="named.pt", seed=1)
    assert model.report is not None and model.report.path.endswith("named.pt")
    assert torch.equal(model.module.head.weight, saved.head.weight)


def test_one_of_several_state_dicts_can_be_asked_for(tmp_path: Path) -> None:
    state = opened(tmp_path, NET).module.state_dict()
    averaged = {name: value + 1 for name, value in state.items()}
    torch.save({"model": state, "ema": averaged}, tmp_path / "both.pt")
    model = opened(tmp_path, NET, checkpoint="both.pt", key="ema")
    assert torch.equal(model.module.head.weight, averaged["head.weight"])


def test_without_a_checkpoint_buffers_are_those_of_the_constructor(tmp_path: Path) -> None:
    model = opened(tmp_path, NET + "CHECKPOINT = None\n")
    assert model.report is None
    assert torch.equal(model.checkpoint_buffers["features.1.running_var"], torch.ones(4))


def test_the_example_comes_with_labels_classes_and_pictures(tmp_path: Path) -> None:
    model = opened(tmp_path, NET + EXAMPLE)
    assert model.example is not None
    inputs, info = model.example
    assert inputs.args[0].shape == (6, 1, 8, 8)
    assert inputs.labels == (0, 1, 0, 1, 0, 1)
    assert info.captions == ["zero", "one"] * 3
    assert info.classes == ["zero", "one"] == list(model.classes)
    assert info.thumbnails is not None and info.thumbnails.shape == (6, 8, 8)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def example_input(): raise OSError('no such scan')\n", "OSError: no such scan (net_open.py:"),
        ("def example_input(): return ()\n", "is empty"),
        ("def example_input(): return torch.rand(0, 1, 8, 8)\n", "holds no samples"),
        (
            "def example_input(): return torch.rand(2, 1, 8, 8)\ndef example_labels(): return [1]\n",
            "2 samples, but there are 1 labels",
        ),
        (
            "def example_input(): return torch.rand(2, 1, 8, 8)\ndef example_labels(): return ['cat', 'dog']\n",
            "one whole number per sample",
        ),
    ],
)
def test_a_broken_example_is_told_and_the_model_opens(tmp_path: Path, code: str, words: str) -> None:
    model = opened(tmp_path, NET + code)
    assert model.example is None
    assert model.example_problem is not None and model.example_problem.id == "example-failed"
    assert words in str(model.example_problem.values["error"])


def test_an_unlabelled_sample_has_no_label(tmp_path: Path) -> None:
    code = "def example_input(): return torch.rand(2, 1, 8, 8)\ndef example_labels(): return [1, None]\n"
    example = opened(tmp_path, NET + code).example
    assert example is not None and example[0].labels == (1, None)
    assert example[1].captions == ["1", "#1"]


def test_what_lightning_models_offer_is_an_example_too(tmp_path: Path) -> None:
    code = NET.replace(
        "        self.head =", "        self.example_input_array = torch.zeros(3, 1, 8, 8)\n        self.head ="
    )
    example = opened(tmp_path, code).example
    assert example is not None and example[1].samples == 3
    assert example[1].notes == [Clause("example-from-model", {"name": "example_input_array"})]


def test_an_example_of_the_model_that_it_does_not_take_is_passed_over(tmp_path: Path) -> None:
    offer = "        self.example_input_array = torch.zeros(3, 7)\n"
    model = opened(tmp_path, NET.replace("        self.head =", f"{offer}        self.head ="))
    assert model.example is None and model.example_problem is None


def test_opening_tells_what_it_does_and_can_be_stopped(tmp_path: Path) -> None:
    (tmp_path / "net_open.py").write_text(NET)
    said: list[str] = []
    command = Open(id=1, spec="net_open.py:build", directory=str(tmp_path))
    open_model(command, progress=lambda what, _: said.append(what.id))
    assert said == ["importing", "building"]
    with pytest.raises(Cancelled):
        open_model(command, should_stop=lambda: True)


@pytest.mark.parametrize("device", ["nonsense", "cuda:77"])
def test_a_device_that_is_not_there_is_told(tmp_path: Path, device: str) -> None:
    with pytest.raises(EngineError, match="cannot be used here") as caught:
        opened(tmp_path, NET, device=device)
    assert caught.value.kind == "build"


def test_a_model_too_large_for_memory_is_told_as_such(tmp_path: Path) -> None:
    code = "import torch\nfrom torch import nn\ndef build(): return nn.Linear(2**31, 2**28)\n"
    with pytest.raises(EngineError, match="does not fit into memory") as caught:
        opened(tmp_path, code)
    assert caught.value.kind == "memory"


def test_another_checkpoint_can_be_loaded_into_the_open_model(tmp_path: Path) -> None:
    model = opened(tmp_path, NET)
    other = {name: torch.full_like(value, 2) for name, value in model.module.state_dict().items()}
    torch.save(other, tmp_path / "other.pt")
    loaded = checkpoint.reload(model, tmp_path / "other.pt")
    assert loaded.module is model.module
    assert loaded.report is not None and loaded.report.loaded == len(other)
    assert torch.equal(loaded.checkpoint_buffers["features.1.running_var"], torch.full((4,), 2.0))


def test_a_checkpoint_that_fails_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    model = opened(tmp_path, NET)
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    torch.save({"other.weight": torch.ones(3)}, tmp_path / "stranger.pt")
    with pytest.raises(EngineError, match="belongs to Net"):
        checkpoint.reload(model, tmp_path / "stranger.pt")
    assert all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())


def test_an_error_deep_in_a_library_names_the_users_own_line(tmp_path: Path) -> None:
    code = "import json\nfrom torch import nn\n\ndef build():\n    return nn.Linear(json.loads('{'), 2)\n"
    (tmp_path / "deep_in_library.py").write_text(code)
    with pytest.raises(EngineError, match=r"JSONDecodeError: .* \(deep_in_library\.py:5\)") as caught:
        open_model(Open(id=1, spec="deep_in_library.py:build", directory=str(tmp_path)))
    lines = failure(1, caught.value).traceback.splitlines()
    frames = [line for line in lines if line.startswith("  File")]
    assert "deep_in_library.py" in frames[0] and "modelight" not in "".join(frames)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, when torch.compile is imported
def test_a_compiled_model_is_shown_as_the_model_that_it_wraps(tmp_path: Path) -> None:
    code = "import torch\n\ndef build():\n    return torch.compile(torch.nn.Sequential(torch.nn.Dropout()).eval())\n"
    (tmp_path / "compiled_net.py").write_text(code)
    model = open_model(Open(id=1, spec="compiled_net.py:build", directory=str(tmp_path)))
    assert [type(module) for module in model.module.modules()] == [nn.Sequential, nn.Dropout]
    assert not model.module.training
    assert [note.id for note in model.notes] == ["compiled-unwrapped"]


def test_wrapped_and_lightning_like_models_open_with_their_modules(tmp_path: Path) -> None:
    code = """
import torch
from torch import nn

def parallel():
    return nn.DataParallel(nn.Sequential(nn.Linear(2, 2), nn.Dropout()))

class Lit(nn.Module):
    "What Lightning's module is to torch: a module with hooks of training beside the network."
    def __init__(self):
        super().__init__()
        self.net, self.example_input_array, self.trainer = nn.Linear(2, 2), torch.ones(3, 2), None
    def forward(self, x):
        return self.net(x)
    def training_step(self, batch, index):
        raise RuntimeError("never called here")
"""
    (tmp_path / "wrapped_nets.py").write_text(code)
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    torch.save(net.state_dict(), tmp_path / "plain.pt")
    spec = "wrapped_nets.py:parallel"
    model = open_model(Open(id=1, spec=spec, checkpoint="plain.pt", directory=str(tmp_path)))
    assert model.report is not None and (model.report.loaded, model.report.missing) == (2, [])
    assert torch.equal(model.module.get_parameter("0.weight"), net.get_parameter("0.weight"))
    assert [type(module) for module in model.module.modules()] == [nn.Sequential, nn.Linear, nn.Dropout]
    assert model.notes == (Clause("parallel-unwrapped", {"type": "DataParallel"}),)
    lit = open_model(Open(id=1, spec="wrapped_nets.py:Lit", directory=str(tmp_path)))
    assert lit.example is not None and lit.example[1].samples == 3
