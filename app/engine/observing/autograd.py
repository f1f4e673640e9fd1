"""Bytes that autograd keeps for backward after one forward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Any

import torch

from modelight import protocol


class SavedTensors:
    """Counts the storages that a forward saves for backward, each once, parameters and inputs apart.

    Args:
        owner: says, when a tensor is saved, on whose account it goes.
    """

    def __init__(
        self,
        parameters: Collection[torch.Tensor],
        inputs: Collection[torch.Tensor],
        owner: Callable[[], Hashable] | None = None,
    ) -> None:
        self._parameters = parameters
        self._inputs = inputs
        self._sizes: dict[int, int] = {}
        self._owner = owner
        self._owners: dict[int, Hashable] = {}
        self._tensors = 0
        self._hooks: torch.autograd.graph.saved_tensors_hooks | None = None

    def _pack(self, tensor: torch.Tensor) -> torch.Tensor:
        self._tensors += 1
        # Returning the tensor itself would tie its graph into a cycle that nothing ever frees.
        with torch._C._DisableTorchDispatch():
            saved = tensor.detach()
        if saved.layout is torch.strided and not torch._C._functorch.is_functorch_wrapped_tensor(saved):
            self._sizes[_storage(saved)] = saved.untyped_storage().nbytes()
            if self._owner is not None:
                self._owners.setdefault(_storage(saved), self._owner())
        return saved

    def __enter__(self) -> SavedTensors:
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._hooks is not None:
            self._hooks.__exit__(*error)
            self._hooks = None

    def by_owner(self) -> Counter[Hashable]:
        """Of :attr:`protocol.Autograd.kept`: bytes per owner, each storage on the account of who saved it first."""
        found: Counter[Hashable] = Counter()
        others = _storages(self._parameters) | _storages(self._inputs)
        for key, owner in self._owners.items():
            if key not in others:
                found[owner] += self._sizes[key]
        return found

    def result(self) -> protocol.Autograd:
        """A lower bound of the resident memory, to be asked while the output (and so the graph) still lives."""
        if not self._sizes:
            return protocol.Autograd(kept=0, parameters=0, inputs=0, tensors=self._tensors)
        of_parameters, of_inputs = _storages(self._parameters), _storages(self._inputs)
        parameters = sum(size for key, size in self._sizes.items() if key in of_parameters)
        inputs = sum(size for key, size in self._sizes.items() if key in of_inputs)
        return protocol.Autograd(
            kept=sum(self._sizes.values()) - parameters - inputs,
            parameters=parameters,
            inputs=inputs,
            tensors=self._tensors,
        )


def _storages(tensors: Iterable[torch.Tensor]) -> set[int]:
    return {_storage(tensor) for tensor in tensors}


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr() if tensor.layout is torch.strided and not tensor.is_nested else 0
