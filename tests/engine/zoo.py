"""Whole models, small: hand-written ones, and real ones of transformers from tiny configurations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

Zoo = dict[str, Callable[[], tuple[nn.Module, dict[str, Any]]]]


class Bottleneck(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = 4 * width
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        same = stride == 1 and channels == out
        self.skip = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.body(x)
        y += self.skip(x)
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2))
        self.stages = nn.Sequential(Bottleneck(8, 4, 1), Bottleneck(16, 4, 1), Bottleneck(16, 8, 2))
        self.fc = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.stages(self.stem(x)).mean((2, 3)))


def double(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1), nn.InstanceNorm2d(out), nn.LeakyReLU(0.1, inplace=True)
    )


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = double(1, 4), double(4, 8)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.merge, self.drop = double(8, 4), nn.Dropout2d(0.2)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        first = self.down1(x)
        deep = self.drop(self.down2(F.max_pool2d(first, 2)))
        return {"mask": self.head(self.merge(torch.cat((first, self.up(deep)), 1))), "deep": deep}


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(30, 8)
        self.lstm = nn.LSTM(8, 6, 2, dropout=0.2, bidirectional=True, batch_first=True)
        self.tags = nn.Linear(12, 5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(F.dropout(self.words(tokens), 0.1, self.training))
        return self.tags(states)


class Graph(nn.Module):
    """Two rounds of mean aggregation over edges (source, target)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 8), nn.Linear(8, 3)])
        self.norm = nn.BatchNorm1d(8)

    def forward(self, nodes: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        for index, layer in enumerate(self.layers):
            values = layer(nodes)
            sums = torch.zeros_like(values).index_add_(0, edges[1], values[edges[0]])
            degree = values.new_zeros(len(nodes)).index_add_(0, edges[1], values.new_ones(edges.shape[1]))
            nodes = sums / degree.clamp(min=1)[:, None]
            if index == 0:
                nodes = F.dropout(F.relu(self.norm(nodes)), 0.3, training=self.training)
        return nodes


class DropPath(nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return x
        keep = x.new_empty((x.shape[0],) + (1,) * (x.dim() - 1)).bernoulli_(1 - self.p)
        return x * keep.div_(1 - self.p)


class Mobile(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(3, 12, 1), nn.BatchNorm2d(12, momentum=None), nn.Hardswish(inplace=True))
        self.depth = nn.Sequential(nn.Conv2d(12, 12, 3, 1, 1, groups=12), nn.BatchNorm2d(12), nn.ReLU6(inplace=True))
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(12, 12, 1), nn.Hardsigmoid(inplace=True))
        self.project, self.path = nn.Conv2d(12, 3, 1), DropPath(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.depth(self.expand(x))
        return x + self.path(self.project(y * self.squeeze(y)))


def discriminator() -> nn.Module:
    norm = nn.utils.parametrizations.spectral_norm
    return nn.Sequential(
        norm(nn.Conv2d(1, 4, 4, 2, 1)),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Dropout2d(0.25),
        norm(nn.Conv2d(4, 8, 4, 2, 1)),
        nn.RReLU(inplace=True),
        nn.Flatten(),
        norm(nn.Linear(128, 1)),
    )


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, dropout=0.2)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


HAND: Zoo = {
    "resnet": lambda: (ResNet(), {"x": torch.randn(3, 3, 16, 16)}),
    "unet": lambda: (UNet(), {"x": torch.randn(2, 1, 16, 16)}),
    "tagger": lambda: (Tagger(), {"tokens": torch.randint(30, (3, 7))}),
    "graph": lambda: (Graph(), {"nodes": torch.randn(9, 6), "edges": torch.randint(9, (2, 20))}),
    "mobile": lambda: (Mobile(), {"x": torch.randn(4, 3, 8, 8)}),
    "discriminator": lambda: (discriminator(), {"input": torch.randn(3, 1, 16, 16)}),
    "encoder": lambda: (encoder(), {"src": torch.randn(3, 5, 16)}),
}


def _bert() -> tuple[nn.Module, dict[str, Any]]:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    return BertForSequenceClassification(config), {"input_ids": torch.randint(50, (2, 6))}


def _gpt2() -> tuple[nn.Module, dict[str, Any]]:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=50, n_positions=16, n_embd=16, n_layer=2, n_head=2)
    return GPT2LMHeadModel(config), {"input_ids": torch.randint(50, (2, 6)), "use_cache": False}


def _vit() -> tuple[nn.Module, dict[str, Any]]:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=16,
        patch_size=8,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
    )
    return ViTForImageClassification(config), {"pixel_values": torch.randn(2, 3, 16, 16)}


def _wav2vec2() -> tuple[nn.Module, dict[str, Any]]:
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    config = Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8, 8),
        conv_stride=(5, 2),
        conv_kernel=(10, 3),
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        mask_time_length=2,
        mask_time_prob=0.2,
        vocab_size=10,
    )
    return Wav2Vec2Model(config), {"input_values": torch.randn(2, 400)}


def _detr() -> tuple[nn.Module, dict[str, Any]]:
    from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig

    backbone = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8],
        depths=[1, 1],
        layer_type="basic",
        out_features=["stage2"],
    )
    config = DetrConfig(
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config=backbone,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_queries=3,
        num_labels=2,
    )
    return DetrForObjectDetection(config), {"pixel_values": torch.randn(1, 3, 32, 32)}


TRANSFORMERS: Zoo = {"bert": _bert, "gpt2": _gpt2, "vit": _vit, "wav2vec2": _wav2vec2, "detr": _detr}
