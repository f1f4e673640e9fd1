"""Phrases: notes. See ``modelight.phrases`` for the format."""

from __future__ import annotations

from modelight.phrases import QT_TRANSLATE_NOOP

PHRASES: dict[str, str] = {
    # --- experiments
    "looking": QT_TRANSLATE_NOOP("phrases", "Looking for what is remarkable ({rule})"),
    "flipping": QT_TRANSLATE_NOOP("phrases", "Flipping {module}"),
    "no-tensor-returned": QT_TRANSLATE_NOOP("phrases", "The model returned no tensor, so there is nothing to compare."),
    "shape-varies": QT_TRANSLATE_NOOP("phrases", "The output has another shape each time, so runs cannot be compared."),
    # --- opening and loading
    "importing": QT_TRANSLATE_NOOP("phrases", "Importing {what}"),
    "building": QT_TRANSLATE_NOOP("phrases", "Building {what}"),
    "reading-checkpoint": QT_TRANSLATE_NOOP("phrases", "Reading {file}"),
    "loading-checkpoint": QT_TRANSLATE_NOOP("phrases", "Loading {file} into the model"),
    "trying-shape": QT_TRANSLATE_NOOP("phrases", "Trying samples of shape {shape}"),
    "checkpoint-consent": QT_TRANSLATE_NOOP(
        "phrases",
        "{file} is not weights alone: reading it would run code of its author ({globals}). "
        "Save the state dict instead, or allow it if you trust where the file came from.",
    ),
    "statistics-missing": QT_TRANSLATE_NOOP(
        "phrases",
        "{count:count} running statistics are not in the checkpoint (first: {first}): these layers keep the ones they "
        "were built with, so their answers in eval mean nothing yet.",
    ),
    "counters-missing": QT_TRANSLATE_NOOP(
        "phrases",
        "{count:count} batch counters (num_batches_tracked) are not in the checkpoint, as in files of old torch. "
        "Running statistics are there, so eval is not affected.",
    ),
    "weights-tied": QT_TRANSLATE_NOOP(
        "phrases", "{count:count} tensors share the weights of others and are saved under their names: {names}."
    ),
    "prefix-added": QT_TRANSLATE_NOOP(
        "phrases", "The checkpoint holds a part of the model: its keys were put under {prefix}"
    ),
    "wrapper-names-passed-over": QT_TRANSLATE_NOOP(
        "phrases", "Names of wrappers inside the paths (such as _orig_mod) were passed over."
    ),
    "prefix-rivals": QT_TRANSLATE_NOOP(
        "phrases", "The file holds the model more than once: {taken} was taken; {others} would fit as well."
    ),
    "other-state-dicts": QT_TRANSLATE_NOOP(
        "phrases", "{taken} was taken; the file also holds state dicts under {others}."
    ),
    "dtype-converted": QT_TRANSLATE_NOOP(
        "phrases", "{count:count} tensors were converted from {source} to the model's {target}."
    ),
    # --- inputs
    "example-failed": QT_TRANSLATE_NOOP("phrases", "The model's own example cannot be used: {error}"),
    "example-from-model": QT_TRANSLATE_NOOP("phrases", "The example is the model's own {name}."),
    "shape-guessed": QT_TRANSLATE_NOOP(
        "phrases", "The shape {shape} is a guess from {why} that the model took: change it if yours is another."
    ),
    "noise-kept": QT_TRANSLATE_NOOP("phrases", "Not noise but the example's own: {names}."),
    "noise-tokens": QT_TRANSLATE_NOOP(
        "phrases", "Noise for this model is random tokens from {low:count} to {high:count}."
    ),
    "input-dtype": QT_TRANSLATE_NOOP("phrases", "The input was converted from {source} to the model's {target}."),
    # --- structure
    "overrides-train": QT_TRANSLATE_NOOP(
        "phrases",
        "This class's train() may do more than set the flag, or less ({source}). It is not called unasked.",
    ),
    "overrides-eval": QT_TRANSLATE_NOOP(
        "phrases",
        "This class's eval() may do more than set the flag, or less ({source}). It is not called unasked.",
    ),
    "unregistered": QT_TRANSLATE_NOOP(
        "phrases",
        "{attribute} holds {count:count} modules in plain Python, not registered: train(), eval() and state_dict() "
        "never reach them ({at}). Use nn.ModuleList or nn.ModuleDict.",
    ),
    "training-property": QT_TRANSLATE_NOOP(
        "phrases", "This class defines training as a property: who reads it cannot be heard."
    ),
    "script": QT_TRANSLATE_NOOP("phrases", "A scripted {name}: what happens inside is not seen."),
    "traced-script": QT_TRANSLATE_NOOP(
        "phrases", "A traced {name}: the mode it was traced in is baked in, and its flag has no effect."
    ),
    "frozen-script": QT_TRANSLATE_NOOP("phrases", "A frozen script of {name}: it has no mode."),
    "compiled": QT_TRANSLATE_NOOP(
        "phrases",
        "torch.compile's wrapper: its flag is that of _orig_mod, the model itself, which is what is observed.",
    ),
    "compiled-call": QT_TRANSLATE_NOOP("phrases", "compile() was called on this module: inside it nothing is seen."),
    "wrapper": QT_TRANSLATE_NOOP("phrases", "{type} only wraps the model below."),
    "parametrized": QT_TRANSLATE_NOOP("phrases", "Computed anew each time they are read: {tensors}."),
    "weight-hook": QT_TRANSLATE_NOOP("phrases", "Computed anew before each forward: {tensors}."),
    "lazy": QT_TRANSLATE_NOOP("phrases", "Takes its shape from the first input it sees."),
    "shared": QT_TRANSLATE_NOOP("phrases", "The same module in {count:count} places, also at {paths}."),
    "holds-itself": QT_TRANSLATE_NOOP("phrases", "The same module as {path} above it: it is not opened again."),
    "rows-cut": QT_TRANSLATE_NOOP("phrases", "The model has more paths than can be shown: {count:count} are."),
    "unobservable-script": QT_TRANSLATE_NOOP("phrases", "A script's flag is read in C++, where nobody can listen."),
    "unobservable-property": QT_TRANSLATE_NOOP(
        "phrases", "Its training flag is a property, which cannot be listened to."
    ),
    "unobservable-compiled": QT_TRANSLATE_NOOP(
        "phrases", "It is compiled: reads of its flag were decided at compile time."
    ),
    # --- what is wrong with a module's tensors
    "has-nan": QT_TRANSLATE_NOOP("phrases", "{tensor} holds {count:count} NaN"),
    "has-infinite": QT_TRANSLATE_NOOP("phrases", "{tensor} holds {count:count} infinite values"),
    "zero-variance": QT_TRANSLATE_NOOP("phrases", "running variance 0 in {count:count} of {channels:count} channels"),
    "negative-variance": QT_TRANSLATE_NOOP(
        "phrases", "negative running variance in {count:count} of {channels:count} channels"
    ),
    "untouched-statistics": QT_TRANSLATE_NOOP("phrases", "statistics never updated: mean 0, variance 1"),
    "needs-more-than-one-value": QT_TRANSLATE_NOOP(
        "phrases",
        "{type} in train raises with one sample, unless its input has a length: one value per channel has no variance.",
    ),
}
