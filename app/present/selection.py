"""From the engine's rows, states and frames to the foot of the tree: the axes of one module, in a fixed order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from modelight.phrases import QT_TRANSLATE_NOOP, fill, phrase
from modelight.present.tree import AGAINST_FLAG, READS_FLAG, effect_text
from modelight.protocol import DropoutCapture, Frame, GradMode, ModuleCapture, NormCapture, Row, RowState, Value
from modelight.widgets.lamp import LampState
from modelight.widgets.numbers import count, shape
from modelight.widgets.selection_pane import Selection, SelectionLine

WORDS = {
    "flag": QT_TRANSLATE_NOOP("phrases", "Flag"),
    "no-flag": QT_TRANSLATE_NOOP("phrases", "none: a frozen script"),
    "effect": QT_TRANSLATE_NOOP("phrases", "Does now"),
    "in-train": QT_TRANSLATE_NOOP("phrases", "In train"),
    "in-eval": QT_TRANSLATE_NOOP("phrases", "In eval"),
    "subtree": QT_TRANSLATE_NOOP("phrases", "Subtree"),
    "subtree-all": QT_TRANSLATE_NOOP("phrases", "all {count:count} in {mode}"),
    "subtree-one": QT_TRANSLATE_NOOP("phrases", "1 in {mode}"),
    "subtree-mixed": QT_TRANSLATE_NOOP("phrases", "{train:count} in train, {eval:count} in eval"),
    "reacting": QT_TRANSLATE_NOOP("phrases", "React"),
    "uses": QT_TRANSLATE_NOOP("phrases", "Uses"),
    "uses-batch": QT_TRANSLATE_NOOP("phrases", "statistics of this batch: {samples}, {values:count} values"),
    "one-sample": QT_TRANSLATE_NOOP("phrases", "1 sample"),
    "samples": QT_TRANSLATE_NOOP("phrases", "{count:count} samples"),
    "uses-instance": QT_TRANSLATE_NOOP("phrases", "statistics of each sample by itself"),
    "uses-running": QT_TRANSLATE_NOOP("phrases", "running statistics"),
    "uses-running-of": QT_TRANSLATE_NOOP("phrases", "running statistics of {count:count} updates"),
    "updates": QT_TRANSLATE_NOOP("phrases", "Updates"),
    "updates-no": QT_TRANSLATE_NOOP("phrases", "no"),
    "updates-put-back": QT_TRANSLATE_NOOP("phrases", "yes, {how} (put back after each run)"),
    "updates-kept": QT_TRANSLATE_NOOP("phrases", "yes, {how}, kept"),
    "momentum": QT_TRANSLATE_NOOP("phrases", "momentum {momentum:g}"),
    "momentum-none": QT_TRANSLATE_NOOP("phrases", "cumulative average"),
    "momentum-zero": QT_TRANSLATE_NOOP("phrases", "momentum 0, so they never move"),
    "drops": QT_TRANSLATE_NOOP("phrases", "Drops"),
    "drops-rate": QT_TRANSLATE_NOOP("phrases", "{observed:percent} of {total:count}"),
    "drops-observed": QT_TRANSLATE_NOOP("phrases", "{observed:percent} of {total:count}, nominal {p:percent}"),
    "drops-scaled": QT_TRANSLATE_NOOP("phrases", "{observed:percent} of {total:count}, rest × {scale:.3g}"),
    "drops-unseen": QT_TRANSLATE_NOOP("phrases", "unseen"),
    "drops-unseen-of": QT_TRANSLATE_NOOP("phrases", "unseen, nominal {p:percent}"),
    "drops-nothing": QT_TRANSLATE_NOOP("phrases", "nothing in this run"),
    "already-zero": QT_TRANSLATE_NOOP("phrases", "Already zero"),
    "already-zero-of": QT_TRANSLATE_NOOP("phrases", "{zero:count} of {total:count} before the layer"),
    "not-measured": QT_TRANSLATE_NOOP("phrases", "not measured"),
    "gradients": QT_TRANSLATE_NOOP("phrases", "Gradients"),
    "gradients-own": QT_TRANSLATE_NOOP("phrases", "{on:count} of {all:count} parameters require grad"),
    "gradients-own-all": QT_TRANSLATE_NOOP("phrases", "all {all:count} parameters require grad"),
    "gradients-own-one": QT_TRANSLATE_NOOP("phrases", "its parameter requires grad"),
    "gradients-below-all": QT_TRANSLATE_NOOP("phrases", "all {all:count} values require grad"),
    "gradients-below": QT_TRANSLATE_NOOP("phrases", "{on:count} of {all:count} values require grad"),
    "no-parameters": QT_TRANSLATE_NOOP("phrases", "no parameters"),
    "thread": QT_TRANSLATE_NOOP("phrases", "Thread"),
    "grad-on": QT_TRANSLATE_NOOP("phrases", "grad on"),
    "output": QT_TRANSLATE_NOOP("phrases", "Output"),
    "no-run": QT_TRANSLATE_NOOP("phrases", "no run yet"),
    "not-called": QT_TRANSLATE_NOOP("phrases", "not called in this run"),
    "output-is": QT_TRANSLATE_NOOP("phrases", "{shape}, requires_grad = {grad}"),
    "output-inference": QT_TRANSLATE_NOOP("phrases", "{shape}, inference tensor"),
    "channels": QT_TRANSLATE_NOOP("phrases", "{type}, {count:count} channels"),
    "dropout": QT_TRANSLATE_NOOP("phrases", "{type}, p = {p:g}"),
    "also-at": QT_TRANSLATE_NOOP("phrases", "{caption}; the same module as {paths}"),
    "with-parameters": QT_TRANSLATE_NOOP("phrases", "{type}, {count:count} parameters"),
}


@dataclass(frozen=True)
class Subtree:
    """A module and all below it, each counted once: how many are in train and in eval, and the types of those that
    react to the mode, most frequent first."""

    train: int
    eval: int
    reacting: tuple[tuple[str, int], ...]


def subtree(index: int, rows: Sequence[Row], states: Sequence[RowState]) -> Subtree:
    """The subtree of a row. Rows stand in the order of a walk: a subtree ends where a parent lies before it."""
    end = next((at for at in range(index + 1, len(rows)) if rows[at].parent < index), len(rows))
    seen: set[str] = set()
    train = evaluate = 0
    reacting: Counter[str] = Counter()
    for row, state in zip(rows[index:end], states[index:end], strict=True):
        if not seen.isdisjoint(row.also_at):
            continue
        seen.add(row.path)
        train += state.training is True
        evaluate += state.training is False
        reacting[row.type] += row.sensitive
    return Subtree(train, evaluate, tuple(entry for entry in reacting.most_common() if entry[1]))


@dataclass(frozen=True)
class Selected:
    """One module as the engine last told of it. ``frame`` is the newest run in the present state, None without one."""

    row: Row
    state: RowState
    model: str
    grad_mode: GradMode
    lamp: LampState
    frame: Frame | None = None
    has_children: bool = False
    below: Subtree | None = None
    """Of a module that has children."""


def selection(of: Selected) -> Selection:
    """What the foot of the tree says of a module."""
    norm, dropout = _norm(of), _dropout(of)
    if norm is not None:
        middle = [_line("uses", _uses(norm, of)), _line("updates", _updates(norm, of))]
    elif dropout is not None and {clause.id for clause in of.state.effect} & (AGAINST_FLAG | READS_FLAG):
        # It calls a function that drops: where that is called says more than what was zero before.
        middle = [_line("effect", effect_text(of.state.effect)), _line("drops", _drops(dropout))]
    elif dropout is not None:
        middle = [_line("drops", _drops(dropout)), _line("already-zero", _already_zero(dropout))]
    elif of.below is not None and {clause.id for clause in of.state.effect} <= {"layers-react", "layer-reacts"}:
        # That so many layers react is in the tree already, and the same in either mode.
        middle = [_line("subtree", _flags(of.below)), _line("reacting", _types(of.below))]
    else:
        other = "in-eval" if of.state.training else "in-train"
        middle = [_line("effect", effect_text(of.state.effect)), _line(other, effect_text(of.state.other))]
    return Selection(
        title=of.row.path or of.model,
        caption=_caption(of, norm, dropout),
        lamp=of.lamp,
        quiet=not (of.row.sensitive or of.row.sensitive_below),
        lines=(
            _line("flag", _flag(of.state)),
            *middle,
            _line("gradients", _gradients(of)),
            _line("thread", _say("grad-on") if of.grad_mode == "enabled" else of.grad_mode),
            _line("output", _output(of)),
        ),
        own_train=of.state.training if any(clause.id == "flag-only" for clause in of.state.effect) else None,
    )


def _say(id_: str, **values: Value) -> str:
    return fill(WORDS[id_], values)


def _line(name: str, value: str) -> SelectionLine:
    return SelectionLine(_say(name), value)


def _flags(below: Subtree) -> str:
    if below.train and below.eval:
        return _say("subtree-mixed", train=below.train, eval=below.eval)
    number, mode = below.train or below.eval, "train" if below.train else "eval"
    return _say("subtree-one" if number == 1 else "subtree-all", count=number, mode=mode)


def _types(below: Subtree) -> str:
    return ", ".join(f"{count(number)} {type_}" for type_, number in below.reacting)


def _norm(of: Selected) -> NormCapture | None:
    return next((one for one in of.frame.norms if one.row == of.state.index), None) if of.frame else None


def _dropout(of: Selected) -> DropoutCapture | None:
    if of.frame is None:
        return None
    calls = [one for one in of.frame.dropouts if one.row == of.state.index]
    return _joined(calls) if calls else None


def _joined(calls: Sequence[DropoutCapture]) -> DropoutCapture:
    """All calls of a module in one run told of as one; what differs between them is left out."""
    first = calls[0]
    if len(calls) == 1 or any(one.unseen is not None for one in calls):
        return next((one for one in calls if one.unseen is not None), first)
    total = sum(one.total for one in calls)
    dropped = sum(one.dropped for one in calls)
    zeros = [one.already_zero for one in calls if one.already_zero is not None]
    inputs = [one.inputs for one in calls if one.inputs is not None]
    counted = len(zeros) == len(inputs) == len(calls)
    return replace(
        first,
        p=first.p if all(one.p == first.p for one in calls) else None,
        active=any(one.active for one in calls),
        observed=dropped / total if total else None,
        dropped=dropped,
        total=total,
        already_zero=sum(zeros) if counted else None,
        inputs=sum(inputs) if counted else None,
    )


def _module(of: Selected) -> ModuleCapture | None:
    return next((one for one in of.frame.modules if one.row == of.state.index), None) if of.frame else None


def _flag(state: RowState) -> str:
    return _say("no-flag") if state.training is None else f"training = {state.training}"


def _uses(norm: NormCapture, of: Selected) -> str:
    if norm.uses == "instance":
        return _say("uses-instance")
    if norm.uses == "running":
        return _say("uses-running-of", count=norm.tracked) if norm.tracked else _say("uses-running")
    if norm.unseen is not None or not norm.batch_count or of.frame is None:
        return effect_text(of.state.effect)
    # batch_count is the last forward's, which may hold fewer samples than the others.
    size = of.frame.samples % of.frame.batch or min(of.frame.batch, of.frame.samples)
    samples = _say("one-sample") if size == 1 else _say("samples", count=size)
    return _say("uses-batch", samples=samples, values=norm.batch_count)


def _updates(norm: NormCapture, of: Selected) -> str:
    if norm.unseen is not None and norm.unseen.id == "not-called":
        return _say("not-called")
    if not norm.updates:
        return _say("updates-no")
    if norm.momentum is None:
        how = _say("momentum-none")
    else:
        how = _say("momentum", momentum=norm.momentum) if norm.momentum else _say("momentum-zero")
    kept = of.frame is not None and of.frame.ledger.kept
    return _say("updates-kept" if kept else "updates-put-back", how=how)


def _drops(one: DropoutCapture) -> str:
    if one.unseen is not None:  # why, the Dropout page says, which has the room
        return _say("drops-unseen") if one.p is None else _say("drops-unseen-of", p=one.p)
    if not one.active or one.observed is None:
        return _say("drops-nothing")
    if one.p is None:
        return _say("drops-rate", observed=one.observed, total=one.total)
    if one.alpha or one.p >= 1 or one.unit in ("sample", "batch"):
        # These do not scale what is left by 1 / (1 − p), or need not.
        return _say("drops-observed", observed=one.observed, total=one.total, p=one.p)
    return _say("drops-scaled", observed=one.observed, total=one.total, scale=1 / (1 - one.p))


def _already_zero(one: DropoutCapture) -> str:
    if one.already_zero is None or one.inputs is None:
        return _say("not-measured")
    return _say("already-zero-of", zero=one.already_zero, total=one.inputs)


def _gradients(of: Selected) -> str:
    if of.state.own_parameters and not of.has_children:
        if of.state.own_trainable == of.state.own_parameters:
            id_ = "gradients-own-one" if of.state.own_parameters == 1 else "gradients-own-all"
            return _say(id_, all=of.state.own_parameters)
        return _say("gradients-own", on=of.state.own_trainable, all=of.state.own_parameters)
    if of.row.parameters and of.state.trainable == of.row.parameters:
        return _say("gradients-below-all", all=of.row.parameters)
    if of.row.parameters:
        return _say("gradients-below", on=of.state.trainable, all=of.row.parameters)
    return _say("no-parameters")


def _output(of: Selected) -> str:
    if of.frame is None:
        return _say("no-run")
    one = _module(of)
    if one is None or (not one.calls and one.unseen is None):
        return _say("not-called")
    if one.unseen is not None:
        return phrase(one.unseen)
    if one.is_inference:
        return _say("output-inference", shape=shape(one.shape))
    return _say("output-is", shape=shape(one.shape), grad=str(one.requires_grad))


def _caption(of: Selected, norm: NormCapture | None, dropout: DropoutCapture | None) -> str:
    caption = _kind(of, norm, dropout)
    return _say("also-at", caption=caption, paths=list(of.row.also_at)) if of.row.also_at else caption


def _kind(of: Selected, norm: NormCapture | None, dropout: DropoutCapture | None) -> str:
    if norm is not None:
        return _say("channels", type=of.row.type, count=norm.channels)
    if dropout is not None and dropout.p is not None and of.row.sensitive:
        return _say("dropout", type=of.row.type, p=dropout.p)
    if of.row.parameters:
        return _say("with-parameters", type=of.row.type, count=of.row.parameters)
    return of.row.type
