"""Which key of a checkpoint is which of the model: prefixes are found by matching keys, not taken from a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.parameter import is_lazy

_WRAPPERS = {"_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module"}
"""Parts of names that torch's own wrappers put in the middle of a path."""
_PLAIN = ("", "model.", "module.", "_orig_mod.", "net.", "network.", "state_dict.")
"""Where two prefixes fit equally well, one of these is taken for the model itself."""


@dataclass(frozen=True)
class Alignment:
    """How the keys of a checkpoint were renamed to the model's."""

    keys: dict[str, str]
    """Checkpoint's key → model's key, for those that name the same tensor (whatever its shape)."""
    removed: str = ""
    added: str = ""
    wrappers: bool = False
    """Whether names of torch's wrappers inside the paths were passed over."""
    rivals: tuple[str, ...] = ()
    """Other prefixes that fit as well."""


def align(checkpoint: Mapping[str, Any], model: Mapping[str, Any]) -> Alignment:
    """The renaming under which most keys meet, counting first those whose shapes agree.

    Candidates: the keys as they are; each prefix that, taken off the checkpoint's keys, leaves keys of the model; and
    each that, put before them, gives keys of the model. Cost is linear in the number of dots in all keys.
    """
    best = _align(checkpoint, model)
    if len(best.keys) == min(len(checkpoint), len(model)):
        return best
    plain_checkpoint = {_without_wrappers(key): key for key in checkpoint}
    plain_model = {_without_wrappers(key): key for key in model}
    if len(plain_checkpoint) != len(checkpoint) or len(plain_model) != len(model):
        return best
    plain = _align(
        {key: checkpoint[name] for key, name in plain_checkpoint.items()},
        {key: model[name] for key, name in plain_model.items()},
    )
    if len(plain.keys) <= len(best.keys):
        return best
    keys = {plain_checkpoint[theirs]: plain_model[ours] for theirs, ours in plain.keys.items()}
    return Alignment(keys, plain.removed, plain.added, True, plain.rivals)


def _align(checkpoint: Mapping[str, Any], model: Mapping[str, Any]) -> Alignment:
    options = [("", "")]
    options += [(prefix, "") for prefix in _prefixes(checkpoint, model)]
    options += [("", prefix) for prefix in _prefixes(model, checkpoint)]
    rated = [(_rate(_rename(checkpoint, model, *option), checkpoint, model), option) for option in options]
    top = max(score for score, _ in rated)
    best = [option for score, option in rated if score == top]
    best.sort(key=lambda option: (_order(option[0] or option[1]), option != ("", "")))
    removed, added = best[0]
    rivals = tuple(option[0] for option in best[1:] if option[0] and ("", "") not in best)
    return Alignment(_rename(checkpoint, model, removed, added), removed, added, False, rivals)


def _order(prefix: str) -> int:
    return _PLAIN.index(prefix) if prefix in _PLAIN else len(_PLAIN)


def _prefixes(longer: Iterable[str], shorter: Mapping[str, Any], most: int = 6) -> list[str]:
    """The commonest prefixes of ``longer``'s keys that leave a key of ``shorter``."""
    counts: Counter[str] = Counter()
    for key in longer:
        dot = key.find(".")
        while dot >= 0:
            if key[dot + 1 :] in shorter:
                counts[key[: dot + 1]] += 1
            dot = key.find(".", dot + 1)
    return [prefix for prefix, _ in counts.most_common(most)]


def _rename(checkpoint: Iterable[str], model: Mapping[str, Any], removed: str, added: str) -> dict[str, str]:
    renamed = {key: added + key[len(removed) :] for key in checkpoint if key.startswith(removed)}
    return {theirs: ours for theirs, ours in renamed.items() if ours in model}


def _rate(keys: Mapping[str, str], checkpoint: Mapping[str, Any], model: Mapping[str, Any]) -> tuple[int, int]:
    """(tensors that would be loaded, keys that meet)"""
    return sum(fits(checkpoint[theirs], model[ours]) for theirs, ours in keys.items()), len(keys)


def fits(theirs: Any, ours: Any) -> bool:
    """Whether a checkpoint's value can be loaded into the model's: equal shapes, or a lazy tensor that takes any.

    torch loads a one-element vector, as versions before 0.4 wrote scalars, into a scalar.
    """
    if not isinstance(theirs, torch.Tensor) or not isinstance(ours, torch.Tensor):
        return not isinstance(theirs, torch.Tensor) and not isinstance(ours, torch.Tensor)
    if is_lazy(ours):
        return True
    return theirs.shape == ours.shape or (ours.dim() == 0 and theirs.shape == (1,))


def _without_wrappers(key: str) -> str:
    return ".".join(part for part in key.split(".") if part not in _WRAPPERS)
