"""Files that hold a model whole: TorchScript, pickled modules after consent, folders of transformers."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from modelight.engine.errors import EngineError
from modelight.engine.loading import inputs
from modelight.engine.loading.opening import OpenModel, open_model
from modelight.protocol import Noise, Open

NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.drop = nn.Dropout()
    def forward(self, x):
        return self.drop(self.linear(x))
"""


def opened(folder: Path, spec: str, **fields: object) -> OpenModel:
    return open_model(Open(id=1, spec=spec, directory=str(folder), **fields))  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_opens_with_the_flags_it_carries(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Dropout())
    net[1].eval()
    torch.jit.save(torch.jit.script(net), tmp_path / "scripted.pt")
    model = opened(tmp_path, "scripted.pt")
    assert isinstance(model.module, torch.jit.ScriptModule)
    assert (model.name, model.source, model.report) == ("scripted", None, None)
    assert [module.training for module in model.module.modules()] == [True, True, False]
    x = torch.ones(2, 3)
    assert torch.equal(model.module(x), net(x))


def test_a_pickled_module_opens_after_consent_with_its_code_and_flags(tmp_path: Path) -> None:
    (tmp_path / "net_whole.py").write_text(NET)
    built = opened(tmp_path, "net_whole.py:Net").module.eval()
    torch.save(built, tmp_path / "whole.pth")
    torch.save({"model": built, "epoch": 1}, tmp_path / "wrapped.pth")
    for name in ("whole.pth", "wrapped.pth"):
        with pytest.raises(EngineError, match=r"net_whole\.Net") as caught:
            opened(tmp_path, name)
        assert caught.value.kind == "consent"
        model = opened(tmp_path, name, trust=True)
        assert type(model.module).__name__ == "Net"
        assert not model.module.training
        assert torch.equal(model.module.linear.weight, built.linear.weight)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["state.pt", "state.ckpt"])
def test_weights_alone_are_told_to_need_code(tmp_path: Path, name: str) -> None:
    torch.save({"state_dict": nn.Linear(1, 1).state_dict()}, tmp_path / name)
    with pytest.raises(EngineError, match="holds weights but no code: name the model's class") as caught:
        opened(tmp_path, name)
    assert caught.value.kind == "spec"


def test_a_folder_of_transformers_opens_in_eval_with_a_report(tmp_path: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    config.id2label = {0: "bad", 1: "fair", 2: "good"}
    torch.manual_seed(0)
    saved = BertForSequenceClassification(config)
    saved.save_pretrained(tmp_path / "bert")
    model = opened(tmp_path, "bert")
    assert type(model.module).__name__ == "BertForSequenceClassification"
    assert (model.name, model.module.training) == ("bert", False)
    assert model.classes == ("bad", "fair", "good")
    assert model.report is not None
    assert (model.report.missing, model.report.unexpected) == ([], [])
    assert model.report.loaded == len(saved.state_dict())
    assert torch.equal(model.module.classifier.weight, saved.classifier.weight)  # type: ignore[union-attr]
    given, info = inputs.prepare([Noise(samples=3)], model)
    assert [tensor.name for tensor in info.tensors] == ["input_ids"]
    assert model.module(**given.kwargs).logits.shape == (3, 3)


def test_a_vision_model_is_not_offered_tokens(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=30, patch_size=10
    )
    ViTModel(config).save_pretrained(tmp_path / "vit")
    model = opened(tmp_path, "vit")
    assert model.example is None and model.example_problem is None
    given, info = inputs.prepare([Noise(samples=2)], model)
    assert given.kwargs["pixel_values"].shape == (2, 3, 30, 30)
    assert info.notes[0].values == {"shape": "3 × 30 × 30", "why": "Conv2d(in_channels=3)"}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("nonsense", "is not a configuration"),
        ('{"architectures": ["NoSuchNet"]}', "needs the class NoSuchNet"),
        ('{"architectures": ["BertModel"], "model_type": "bert"}', "transformers could not open net"),
    ],
)
def test_a_folder_that_transformers_cannot_open_is_told(tmp_path: Path, config: str, words: str) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "config.json").write_text(config)
    with pytest.raises(EngineError, match=words):
        opened(tmp_path, "net")


REMOTE = """
from pathlib import Path
Path(__file__).with_name("ran").touch()
from transformers import PretrainedConfig, PreTrainedModel
class OwnConfig(PretrainedConfig):
    model_type = "own"
class Own(PreTrainedModel):
    config_class = OwnConfig
"""


def test_code_in_a_folder_of_transformers_is_not_run_whatever_stands_at_the_keyboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 9))
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "own.py").write_text(REMOTE)
    classes = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.Own"}
    config = {"model_type": "own", "architectures": ["AutoModel"], "auto_map": classes}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(EngineError, match="transformers could not open net"):
        opened(tmp_path, "net")
    assert sys.stdin.tell() == 0  # nobody asked
    assert not list(tmp_path.rglob("ran"))


@pytest.mark.parametrize("name", ["AutoTokenizer", "BertTokenizer", "pipeline", "PretrainedConfig"])
def test_what_is_no_model_of_transformers_is_not_asked_for_one(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": [name]}))
    with pytest.raises(EngineError, match=f"{name} of transformers is not a torch.nn.Module"):
        opened(tmp_path, ".")
