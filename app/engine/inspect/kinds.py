"""Which layer it was, told from the names and shapes of its tensors: handlers that may decline, tried in order.

Everything told here is a guess and labelled so. Where two kinds leave the same tensors behind, the kind says both.
Shapes are those of ``torch.nn``: Linear (out, in), ConvNd (out, in / groups, kernel …), ConvTransposeNd (in,
out / groups, kernel …), Embedding (number, width).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from modelight.engine.inspect.marks import MEAN, VARIANCE
from modelight.protocol import Clause, Value
from modelight.widgets import numbers

Shape = tuple[int, ...]
_EMBEDDINGS = ("emb", "wte", "wpe", "lookup")
_LINEARS = ("proj", "fc", "linear", "dense", "query", "key", "value", "head", "gate", "classifier")
"""Parts of names that settle what the shape of a weight leaves open."""
_ATTENTION = (
    {"q_proj", "k_proj", "v_proj"},
    {"query", "key", "value"},
    {"to_q", "to_k", "to_v"},
    {"qkv", "proj"},
    {"c_attn", "c_proj"},
    {"q", "k", "v", "o"},
)
_GATES = {4: "LSTM", 3: "GRU", 1: "RNN"}


@dataclass(frozen=True)
class Own:
    """What is known of one module: its own tensors by last name, and the names of its children."""

    path: str
    shapes: Mapping[str, Shape]
    dtypes: Mapping[str, torch.dtype] = field(default_factory=dict)
    children: Sequence[str] = ()
    extras: frozenset[str] = frozenset()
    """Last names of entries that are no tensors (packed parameters, extra state)."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    def rank(self, name: str) -> int:
        """Dimensions of a tensor; −1 where it is not there."""
        return len(self.shapes[name]) if name in self.shapes else -1


def kind_of(own: Own) -> Clause:
    """The kind of a module; ``kind-module`` {count} where it only holds others."""
    for handler in _HANDLERS:
        found = handler(own)
        if found is not None:
            return found
    if own.shapes:
        return Clause("kind-own-tensors", {"count": len(own.shapes)})
    if own.extras:
        return Clause("kind-no-tensors")
    return Clause("kind-module", {"count": len(own.children)})


def _packed(own: Own) -> Clause | None:
    names = own.shapes.keys() | own.extras
    if "_packed_params" in names:
        return Clause("kind-packed-parameters")
    if {"scale", "zero_point"} <= own.shapes.keys():
        return Clause("kind-quantized")
    if {"qweight", "scales"} <= own.shapes.keys():
        return Clause("kind-packed-linear")
    dtype = own.dtypes.get("weight")
    if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
        return Clause("kind-packed", {"dtype": str(dtype).removeprefix("torch.")})
    return None


def _observer(own: Own) -> Clause | None:
    if "fake_quant_enabled" in own.shapes:
        return Clause("kind-fake-quantize")
    return Clause("kind-observer") if {"min_val", "max_val"} <= own.shapes.keys() else None


def _batch_norm(own: Own) -> Clause | None:
    statistic = own.shapes.get(MEAN, own.shapes.get(VARIANCE))
    if statistic is None or len(statistic) != 1:
        return None
    id_ = "kind-batch-norm" if "weight" in own.shapes else "kind-batch-norm-plain"
    return Clause(id_, {"channels": statistic[0]})


def _recurrent(own: Own) -> Clause | None:
    first = "weight_ih_l0" if "weight_ih_l0" in own.shapes else "weight_ih"
    inner = own.shapes.get(first.replace("ih", "hh"), ())
    outer = own.shapes.get(first, ())
    if len(outer) != 2 or len(inner) != 2 or not inner[1]:
        return None
    # With a projection (LSTM only) the hidden state is narrower than the cells.
    projected = own.shapes.get("weight_hr_l0")
    hidden = projected[1] if projected is not None and len(projected) == 2 else inner[1]
    gates = _GATES.get(inner[0] // hidden) if hidden and inner[0] % hidden == 0 else None
    if gates is None:
        return None
    if first == "weight_ih":
        return Clause("kind-recurrent-cell", {"type": f"{gates}Cell", "inputs": outer[1], "hidden": hidden})
    layers = sum(name.startswith("weight_ih_l") and not name.endswith("_reverse") for name in own.shapes)
    both = "weight_ih_l0_reverse" in own.shapes
    values: dict[str, Value] = {"type": gates, "inputs": outer[1], "hidden": hidden, "layers": layers}
    return Clause("kind-recurrent-both-ways" if both else "kind-recurrent", values)


def _attention(own: Own) -> Clause | None:
    if own.rank("in_proj_weight") == 2:
        return Clause("kind-attention", {"width": own.shapes["in_proj_weight"][1]})
    if own.rank("q_proj_weight") == 2:
        return Clause("kind-attention", {"width": own.shapes["q_proj_weight"][0]})
    return None


def _parametrization(own: Own) -> Clause | None:
    if ".parametrizations." not in f".{own.path}":
        return None
    if {"original0", "original1"} <= own.shapes.keys():
        return Clause("kind-weight-norm")
    if "original" in own.shapes:
        return Clause("kind-parametrization")
    return Clause("kind-spectral-norm") if {"_u", "_v"} <= own.shapes.keys() else None


def _embedding_or_linear(own: Own) -> Clause | None:
    if own.rank("weight") != 2:
        return None
    rows, columns = own.shapes["weight"]
    bias = own.shapes.get("bias")
    if bias is None:
        name = own.name.lower()
        if any(word in name for word in _EMBEDDINGS):
            return Clause("kind-embedding", {"number": rows, "width": columns})
        if any(word in name for word in _LINEARS):
            return Clause("kind-linear-without-bias", {"inputs": columns, "outputs": rows})
        return Clause("kind-linear-or-embedding", {"inputs": columns, "outputs": rows})
    if bias == (rows,):
        return Clause("kind-linear", {"inputs": columns, "outputs": rows})
    if bias == (columns,):
        return Clause("kind-linear-transposed", {"inputs": rows, "outputs": columns})
    return Clause("kind-layer-norm") if bias == (rows, columns) else None


def _convolution(own: Own) -> Clause | None:
    shape = own.shapes.get("weight", ())
    bias = own.shapes.get("bias")
    if not 3 <= len(shape) <= 5:
        return None
    if bias == shape:
        return Clause("kind-layer-norm")
    values: dict[str, Value] = {
        "dimensions": len(shape) - 2,
        "filters": shape[0],
        "size": numbers.shape(shape[1:]),
    }
    if bias is not None and len(bias) == 1 and bias[0] != shape[0]:
        return Clause("kind-convolution-transposed", values)
    # A transposed one with as many outputs as inputs leaves the same shapes; so does any without a bias.
    sure = bias is not None and shape[0] != shape[1]
    return Clause("kind-convolution" if sure else "kind-convolution-either", values)


def _norm_or_scale(own: Own) -> Clause | None:
    if own.rank("weight") != 1:
        return None
    width = own.shapes["weight"][0]
    if own.shapes.get("bias") == (width,):
        return Clause("kind-norm", {"width": width})
    if "bias" in own.shapes:
        return None
    return Clause("kind-prelu") if width == 1 else Clause("kind-norm-or-prelu", {"width": width})


def _rotary(own: Own) -> Clause | None:
    return Clause("kind-rotary") if own.rank("inv_freq") == 1 else None


def _attention_block(own: Own) -> Clause | None:
    children = set(own.children)
    return Clause("kind-attention-block") if any(names <= children for names in _ATTENTION) else None


def _numbered(own: Own) -> Clause | None:
    if own.children and not own.shapes and all(child.isdigit() for child in own.children):
        return Clause("kind-sequence", {"count": len(own.children)})
    return None


_HANDLERS: tuple[Callable[[Own], Clause | None], ...] = (
    _observer,
    _batch_norm,
    _packed,
    _recurrent,
    _attention,
    _parametrization,
    _embedding_or_linear,
    _convolution,
    _norm_or_scale,
    _rotary,
    _attention_block,
    _numbered,
)
CERTAIN = frozenset({"kind-module", "kind-no-tensors"})
"""Kinds that say no more than the keys do."""
