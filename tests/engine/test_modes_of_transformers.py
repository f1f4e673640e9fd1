"""Presets on models of transformers, whose attention drops by a function and reads its flag itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from modelight.engine.modules import modes
from modelight.engine.modules.rows import Rows

pytestmark = pytest.mark.package

SMALL = {"vocab_size": 50, "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 32}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def bert(**options: Any) -> torch.nn.Module:
    from transformers import BertConfig, BertModel

    return BertModel(BertConfig(**SMALL, **{**NO_DROPOUT, **options}), add_pooling_layer=False)


def gpt2(**options: Any) -> torch.nn.Module:
    from transformers import GPT2Config, GPT2Model

    none = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    return GPT2Model(GPT2Config(vocab_size=50, n_layer=2, n_head=2, n_embd=16, **{**none, **options}))


def llama(**options: Any) -> torch.nn.Module:
    from transformers import LlamaConfig, LlamaModel

    return LlamaModel(LlamaConfig(**SMALL, num_key_value_heads=2, **options))


CASES = {
    "bert hidden": lambda p: bert(hidden_dropout_prob=p),
    "bert attention": lambda p: bert(attention_probs_dropout_prob=p),
    "bert eager attention": lambda p: bert(attention_probs_dropout_prob=p, attn_implementation="eager"),
    "gpt2 attention": lambda p: gpt2(attn_pdrop=p),
    "gpt2 residual": lambda p: gpt2(resid_pdrop=p),
    "llama attention": lambda p: llama(attention_dropout=p),
}


def random(model: torch.nn.Module) -> bool:
    tokens = torch.arange(12).reshape(2, 6)
    with torch.no_grad():
        first, second = (model(input_ids=tokens).last_hidden_state for _ in range(2))
    return not torch.equal(first, second)


@pytest.mark.parametrize("name", CASES)
def test_mc_dropout_draws_wherever_the_dropout_is(name: str) -> None:
    torch.manual_seed(0)
    model = CASES[name](0.5)
    rows = Rows(model)
    modes.apply_preset(rows, "mc_dropout")
    assert random(model)
    modes.apply_preset(rows, "eval")
    assert not random(model)


@pytest.mark.parametrize("name", ["bert hidden", "gpt2 attention", "llama attention"])
def test_mc_dropout_at_zero_draws_nothing(name: str) -> None:
    model = CASES[name](0.0)
    modes.apply_preset(Rows(model), "mc_dropout")
    assert not random(model)
