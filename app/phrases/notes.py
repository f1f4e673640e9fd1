"""Phrases: notes. See ``modelight.phrases`` for the format."""

from __future__ import annotations

from modelight.phrases import QT_TRANSLATE_NOOP

PHRASES: dict[str, str] = {
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
        "{count:count} batch counters (num_batches_tracked) are not in the checkpoint, as in files from before torch 0.4.1. "
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
}
