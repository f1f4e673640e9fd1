"""``modelight check`` on real architectures, each in eval as its own code hands it over: nothing to say, status 0."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("transformers")
pytestmark = [pytest.mark.package, pytest.mark.slow]

ZOO = """
import torch
import transformers

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}

def bert():
    return transformers.BertForSequenceClassification(transformers.BertConfig(vocab_size=80, **SMALL)).eval()

def gpt2():
    config = transformers.GPT2Config(vocab_size=80, n_embd=32, n_layer=2, n_head=4, n_positions=16)
    return transformers.GPT2LMHeadModel(config).eval()

def vit():
    config = transformers.ViTConfig(image_size=32, patch_size=8, hidden_dropout_prob=0.1, **SMALL)
    return transformers.ViTForImageClassification(config).eval()

def resnet():
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    model = transformers.ResNetForImageClassification(config)
    with torch.no_grad():
        for _ in range(80):
            model(**pictures())
    return model.eval()

def tokens():
    return {"input_ids": torch.randint(80, (3, 9), generator=torch.Generator().manual_seed(0))}

def pictures():
    return {"pixel_values": torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))}
"""


@pytest.mark.parametrize(
    ("model", "given"), [("bert", "tokens"), ("gpt2", "tokens"), ("vit", "pictures"), ("resnet", "pictures")]
)
def test_a_well_behaved_model_is_clean(model: str, given: str, tmp_path: Path) -> None:
    (tmp_path / "zoo.py").write_text(ZOO, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "modelight", "check", f"zoo.py:{model}", "--input", f"zoo.py:{given}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=tmp_path,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("Nothing remarkable.\n")
    assert ": 0 modules in train" in done.stdout
