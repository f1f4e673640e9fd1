"""Setting train and eval: flags are written one by one, never through ``train()``, and come back as they were.

Functions take the :class:`~modelight.engine.modules.rows.Rows` of the model; ``change`` wraps any of them and tells
what it changed, in every path that shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from torch import nn

from modelight.engine import catalog
from modelight.engine.errors import EngineError
from modelight.engine.modules import flag, policy, skeleton
from modelight.engine.modules.rows import Rows
from modelight.protocol import RowState

_WITH_STATISTICS = ("batch_norm", "instance_norm", "norm_like")
_DROPOUTS = (
    "dropout",
    "drop_path",
    "rnn_dropout",
    "attention",
    "functional_dropout",
    # Its own flag decides only about a fused path, which in eval skips its children and with them their dropouts.
    "transformer_layer",
)


_RAN_USER_CODE = object()


class Change(NamedTuple):
    """What an action changed."""

    flags: dict[str, bool]
    """Flags before it, of the paths whose flag changed."""
    states: list[RowState]
    """Every row whose state is not what it was."""


def change(rows: Rows, action: Callable[[], object]) -> Change:
    """Carry out ``action``, which writes flags or runs the user's ``train()``, and tell what it changed.

    Only rows whose flags changed and the rows above them are looked at, unless ``call_own_train`` was the action.
    """
    rows.known()
    before = _read(rows)
    ran_user_code = action() is _RAN_USER_CODE
    moved = [index for index, (then, now) in enumerate(zip(before, _read(rows), strict=True)) if then != now]
    asked = {rows.paths[index]: then for index in moved if (then := before[index]) is not None}
    touched = {*moved, *(rows.parents[index] for index in moved if index)}
    return Change(asked, rows.changed(rows.known()) if ran_user_code else rows.update(touched))


# -------------------------------------------------------------------------------------------------------------- flags


def flags(rows: Rows) -> dict[str, bool]:
    """The flag at every path; modules that have none are left out."""
    return {path: own for path, own in zip(rows.paths, _read(rows), strict=True) if own is not None}


def set_training(rows: Rows, path: str, training: bool, recursive: bool = True) -> None:
    """Write the flag of the module at ``path``, and of everything below it if ``recursive``.

    Raises:
        EngineError: no such path, or a class's ``training`` property refused; nothing is changed then.
    """
    index = rows.by_path(path)
    _write(rows, ((at, training) for at in (rows.below(index) if recursive else (index,))))


def set_flags(rows: Rows, mapping: Mapping[str, bool]) -> None:
    """Write exactly these flags (path → training); none is touched if a path is unknown."""
    _write(rows, [(rows.by_path(path), training) for path, training in mapping.items()])


def apply_preset(rows: Rows, name: str) -> None:
    """Write the flags of a preset: what each is for is said in ``PRESETS``.

    Raises:
        EngineError: there is no such preset.
    """
    preset = PRESETS.get(name)
    if preset is None:
        raise EngineError(f"There is no preset {name!r}; there are {', '.join(PRESETS)}.", kind="run")
    _write(rows, enumerate(map(preset, rows.modules)))


def call_own_train(rows: Rows, path: str, training: bool) -> object:
    """Call the module's own ``train(training)``, overridden or not. Runs the user's code.

    Raises:
        EngineError: no such path, or the call failed; flags are then what they were.
    """
    index = rows.by_path(path)
    module = rows.modules[index]
    before = flags(rows)
    try:
        module.train(training)
    except Exception as error:
        set_flags(rows, before)
        message = f"{type(module).__name__}.train({training}) failed: {type(error).__name__}: {error}"
        raise EngineError(message, kind="run", module=path) from error
    rows.reached(index)
    return _RAN_USER_CODE


def _freeze_norms(module: nn.Module) -> bool:
    """Train, but with running statistics used and not moved."""
    return not (catalog.describe(module, 0).kind in _WITH_STATISTICS and _has_running_statistics(module))


def _mc_dropout(module: nn.Module) -> bool:
    """Eval, but with every dropout on."""
    return catalog.describe(module, 0).kind in _DROPOUTS


PRESETS: dict[str, Callable[[nn.Module], bool]] = {
    "train": lambda module: True,
    "eval": lambda module: False,
    "freeze_norms": _freeze_norms,
    "mc_dropout": _mc_dropout,
}


def _has_running_statistics(module: nn.Module) -> bool:
    tracks = bool(getattr(module, "track_running_stats", True))
    held = any(policy.buffer(module, name) is not None for name in ("running_mean", "running_var"))
    # Instance norm without tracking never uses its buffers, whatever the mode.
    return held and (tracks or catalog.describe(module, 0).kind != "instance_norm")


def _read(rows: Rows) -> list[bool | None]:
    return [flag.read(module) for module in rows.modules]


def _write(rows: Rows, wanted: Iterable[tuple[int, bool]]) -> None:
    """Write flags by row; if one is refused, those written are put back."""
    done: list[tuple[nn.Module, bool | None]] = []
    try:
        for index, training in wanted:
            module = rows.modules[index]
            done.append((module, flag.read(module)))
            flag.write(module, training)
    except EngineError:
        for module, before in reversed(done[:-1]):
            if before is not None:
                flag.write(module, before)
        raise


# ------------------------------------------------------------------------------------------------------ requires_grad


def set_requires_grad(root: nn.Module, path: str, value: bool) -> dict[str, bool]:
    """Set requires_grad on the parameters of a subtree; returns what it was, of those that changed.

    Parameters of integers, which cannot have gradients, are left as they are.

    Raises:
        EngineError: no such path, or torch refused; nothing is changed then.
    """
    try:
        below = {id(tensor) for tensor in root.get_submodule(path).parameters()}
    except AttributeError as error:
        raise EngineError(f"The model has no module at {path!r}.", kind="run", module=path) from error
    return set_parameters(
        root,
        {
            name: value
            for name, tensor in root.named_parameters()
            if id(tensor) in below and (tensor.is_floating_point() or tensor.is_complex())
        },
    )


def set_parameters(root: nn.Module, mapping: Mapping[str, bool]) -> dict[str, bool]:
    """Write exactly these requires_grad flags; returns what they were, of those that changed.

    Raises:
        EngineError: no such parameter, or torch refused (an inference tensor, say); nothing is changed then.
    """
    parameters = dict(skeleton.named_tensors(root, "_parameters"))
    unknown = next((name for name in mapping if name not in parameters), None)
    if unknown is not None:
        raise EngineError(f"The model has no parameter {unknown!r}.", kind="run")
    before: dict[str, bool] = {}
    for name, value in mapping.items():
        tensor = parameters[name]
        if tensor.requires_grad == value:
            continue
        try:
            tensor.requires_grad_(value)
        except RuntimeError as error:
            for written, was in before.items():
                parameters[written].requires_grad_(was)
            raise EngineError(f"requires_grad of {name} cannot be set: {error}", kind="run") from error
        before[name] = not value
    return before
