"""What a model returned, by name."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from modelight.engine.experiments.trials import readable
from modelight.engine.observing.outputs import MAX_WIDTH, Outputs, fields

Pair = namedtuple("Pair", "left right")


@dataclass
class Result:
    logits: torch.Tensor
    loss: torch.Tensor | None = None


ONE = torch.zeros(1)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (ONE, [""]),
        ({"logits": ONE, "loss": None}, ["logits"]),
        ([{"boxes": ONE, "labels": ONE}, {"boxes": ONE}], ["[0].boxes", "[0].labels", "[1].boxes"]),
        ((ONE, (ONE, ONE)), ["[0]", "[1][0]", "[1][1]"]),
        (Pair(ONE, [ONE]), ["left", "right[0]"]),
        (Result(ONE), ["logits"]),
        (OrderedDict(hidden=(ONE, Result(ONE))), ["hidden[0]", "hidden[1].logits"]),
        ({3: ONE}, ["[3]"]),
        ("text", []),
        (None, []),
    ],
)
def test_names(value: Any, names: list[str]) -> None:
    assert [name for name, _ in fields(value)] == names


def test_values_of_all_repeats_and_samples() -> None:
    outputs, values = Outputs(2, 5), torch.randn(2, 5, 3)
    for repeat in range(2):
        for start, stop in ((0, 2), (2, 4), (4, 5)):
            outputs.add({"logits": values[repeat, start:stop]}, repeat, start, stop)
    (field,) = outputs.finish()
    assert (field.name, field.shape, field.per_sample, field.dtype) == ("logits", (1, 3), True, "float32")
    assert field.values is not None and np.array_equal(field.values.numpy(), values.numpy())
    assert field.stats.count == 15 and field.stats.mean == pytest.approx(values[1].mean().item(), rel=1e-5)


def test_a_wide_output_is_reduced_per_sample() -> None:
    values = torch.randn(4, MAX_WIDTH + 1, dtype=torch.float64)
    outputs = Outputs(1, 4)
    outputs.add(values, 0, 0, 4)
    (field,) = outputs.finish()
    assert field.values is None and field.sample_stats is not None
    mean, std, low, high = field.sample_stats.numpy()[0].T
    assert np.allclose(mean, values.mean(1)) and np.allclose(std, values.std(1, correction=0))
    assert np.allclose(low, values.amin(1)) and np.allclose(high, values.amax(1))


def test_an_output_that_is_not_per_sample_says_so() -> None:
    outputs = Outputs(1, 4)
    outputs.add(torch.tensor(3.0), 0, 0, 4)
    (field,) = outputs.finish()
    assert not field.per_sample and field.values is None and field.stats.mean == 3


def test_lengths_that_differ_between_forwards_are_not_forced_together() -> None:
    outputs = Outputs(1, 2)
    outputs.add(torch.zeros(1, 3), 0, 0, 1)
    outputs.add(torch.zeros(1, 4), 0, 1, 2)
    (field,) = outputs.finish()
    assert field.values is None and field.per_sample and field.stats.count == 7


def test_a_field_that_comes_only_sometimes() -> None:
    outputs = Outputs(1, 2)
    outputs.add({"a": torch.ones(1, 1)}, 0, 0, 1)
    outputs.add({"a": torch.ones(1, 1), "aux": torch.ones(1, 1)}, 0, 1, 2)
    both = {field.name: field for field in outputs.finish()}
    assert both["a"].values is not None and both["aux"].values is None


def test_facts_of_autograd_and_inference() -> None:
    weight = torch.ones(2, requires_grad=True)
    outputs = Outputs(1, 1)
    with torch.inference_mode():
        inference = torch.ones(1, 2)
    outputs.add([weight.unsqueeze(0) * 2, inference, torch.zeros(1, dtype=torch.complex64)], 0, 0, 1)
    grad, plain, odd = outputs.finish()
    assert (grad.requires_grad, grad.grad_fn, grad.is_inference) == (True, "MulBackward0", False)
    assert (plain.requires_grad, plain.grad_fn, plain.is_inference) == (False, None, True)
    assert odd.dtype == "complex64" and odd.stats.mean is None


def test_a_sparse_output_is_read_like_a_dense_one() -> None:
    values = torch.randn(4, 3).relu()
    outputs = Outputs(1, 4)
    outputs.add(values.to_sparse(), 0, 0, 4)
    (field,) = outputs.finish()
    assert field.per_sample and field.values is not None
    assert np.array_equal(field.values.numpy()[0], values.numpy())


@pytest.mark.parametrize("value", [torch.ones(4, 3, dtype=torch.complex64), torch.ones(4, 0)])
def test_experiments_leave_out_what_holds_no_real_numbers(value: torch.Tensor) -> None:
    assert [name for name, _ in readable({"odd": value, "even": torch.ones(4)})] == ["even"]
