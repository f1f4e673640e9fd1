"""Phrases: notes. See ``modelight.phrases`` for the format."""

from __future__ import annotations

from modelight.phrases import QT_TRANSLATE_NOOP

PHRASES: dict[str, str] = {
    # --- observing a run
    "running": QT_TRANSLATE_NOOP("phrases", "Running, repeat {repeat:count} of {repeats:count}"),
    "ledger-cut": QT_TRANSLATE_NOOP(
        "phrases", "The {shown:count} largest of {count:count} changes {shown:is|are} listed."
    ),
    "write-seen-too-late": QT_TRANSLATE_NOOP(
        "phrases",
        "It was written in a way that nothing announces, and is too large to be copied before every run: "
        "its old values are lost. Load the checkpoint again.",
    ),
    "lazy-materialised": QT_TRANSLATE_NOOP(
        "phrases",
        "{count:count} {count:tensor|tensors} of lazy layers {count:was|were} made by one forward before the run: "
        "this is "
        "the baseline now.",
    ),
    "slow-path": QT_TRANSLATE_NOOP(
        "phrases",
        "Fused layers kept {modules:count} {modules:module|modules} silent. {modules:It was|These were} seen in a "
        "second "
        "run without fusion, whose output lies at most {distance:figure} from this one.",
    ),
    "input-overwritten": QT_TRANSLATE_NOOP(
        "phrases", "The model writes into its input. The input was put back after each forward."
    ),
    "fused-kernel": QT_TRANSLATE_NOOP("phrases", "The mask is drawn inside a fused kernel, where it is not seen."),
    "noise-not-applied": QT_TRANSLATE_NOOP(
        "phrases", "Zeros and ones were drawn here, but no multiplication by them was seen."
    ),
    "mask-check-failed": QT_TRANSLATE_NOOP(
        "phrases", "What was drawn does not fit the output: values it calls dropped are not zero."
    ),
    "dropout-not-dispatched": QT_TRANSLATE_NOOP("phrases", "The layer drops, but drew nothing where it could be seen."),
    "no-tensor-output": QT_TRANSLATE_NOOP("phrases", "It returned no tensor, but {type}."),
    "not-readable": QT_TRANSLATE_NOOP("phrases", "Its output ({type}, {dtype}) has no plain values to read."),
    "norm-input-unreadable": QT_TRANSLATE_NOOP("phrases", "Its input has no plain values to compute statistics from."),
    "norm-input-hooked": QT_TRANSLATE_NOOP(
        "phrases", "Hooks of its own may change its input, so the batch's statistics are not read."
    ),
    "norm-not-asked": QT_TRANSLATE_NOOP("phrases", "This batch's statistics were not asked for."),
    "other-thread": QT_TRANSLATE_NOOP(
        "phrases", "Called in a thread of the model’s own, where neither its values nor its dropouts can be seen."
    ),
    "not-called": QT_TRANSLATE_NOOP("phrases", "Not called in this run."),
    "inside-script": QT_TRANSLATE_NOOP("phrases", "Runs inside a script, where modules are not heard."),
    "flag-read": QT_TRANSLATE_NOOP("phrases", "{path} read its training flag at {source:place}, {count:count} times."),
    # --- experiments
    "looking": QT_TRANSLATE_NOOP("phrases", "Looking for what is remarkable ({rule})"),
    "flipping": QT_TRANSLATE_NOOP("phrases", "Flipping {module}"),
    "comparing-train": QT_TRANSLATE_NOOP("phrases", "Running in train, grad mode {mode}"),
    "comparing-eval": QT_TRANSLATE_NOOP("phrases", "Running in eval, grad mode {mode}"),
    "gradients-watching": QT_TRANSLATE_NOOP("phrases", "Watching a forward with gradients on"),
    "gradients-backward": QT_TRANSLATE_NOOP("phrases", "Running forward and backward"),
    "gradients-timing": QT_TRANSLATE_NOOP("phrases", "Timing runs with and without gradients"),
    "scalar-cross-entropy": QT_TRANSLATE_NOOP(
        "phrases", "mean cross-entropy of {samples:count} {samples:label|labels}"
    ),
    "scalar-signs": QT_TRANSLATE_NOOP("phrases", "sum of all outputs, each with a random sign"),
    "nothing-trainable": QT_TRANSLATE_NOOP(
        "phrases", "No parameter has requires_grad, so there is nothing to compute gradients for."
    ),
    "no-output-requires-grad": QT_TRANSLATE_NOOP(
        "phrases", "No output requires grad: a loss computed from them cannot be differentiated."
    ),
    "backward-raises": QT_TRANSLATE_NOOP("phrases", "Backward raised {error}"),
    "re-estimating-before": QT_TRANSLATE_NOOP("phrases", "Running in eval with the present statistics"),
    "re-estimating": QT_TRANSLATE_NOOP("phrases", "Estimating statistics, pass {pass:count} of {passes:count}"),
    "re-estimating-after": QT_TRANSLATE_NOOP("phrases", "Running in eval with the new statistics"),
    "nothing-to-re-estimate": QT_TRANSLATE_NOOP(
        "phrases", "No layer of this model has running statistics that a run in train would move."
    ),
    "keeps-statistics": QT_TRANSLATE_NOOP("phrases", "kept: in train, too, this {type} does not update them"),
    "estimate-one-sample": QT_TRANSLATE_NOOP(
        "phrases",
        "Every batch is one sample, so the variances say nothing of how samples differ from each other. "
        "Choose a larger batch.",
    ),
    "estimate-uneven": QT_TRANSLATE_NOOP(
        "phrases",
        "The last batch holds {last:count} {last:sample|samples} instead of {batch:count} and counts as much.",
    ),
    "estimate-outdated": QT_TRANSLATE_NOOP(
        "phrases", "These statistics are no longer those of the open model: estimate them again."
    ),
    "export-suffix": QT_TRANSLATE_NOOP(
        "phrases", "End the name of {file} in .safetensors or .pt: that says the format."
    ),
    "export-original": QT_TRANSLATE_NOOP(
        "phrases", "{file} is the checkpoint that is loaded, and stays as it is. Choose another name."
    ),
    "export-exists": QT_TRANSLATE_NOOP("phrases", "{file} is there already. Choose another name."),
    "export-failed": QT_TRANSLATE_NOOP("phrases", "{file} could not be written: {error}"),
    "export-not-tensors": QT_TRANSLATE_NOOP(
        "phrases", "safetensors holds tensors alone, and {name} is none: write a .pt file."
    ),
    "raises": QT_TRANSLATE_NOOP("phrases", "{error}"),
    "raises-in": QT_TRANSLATE_NOOP("phrases", "{error} (in {module})"),
    "no-tensor-returned": QT_TRANSLATE_NOOP(
        "phrases", "The model returned no tensor of real numbers, so there is nothing to compare."
    ),
    "shape-varies": QT_TRANSLATE_NOOP("phrases", "The output has another shape each time, so runs cannot be compared."),
    "batch-size-train": QT_TRANSLATE_NOOP("phrases", "Running in train, {size:count} at a time"),
    "batch-size-eval": QT_TRANSLATE_NOOP("phrases", "Running in eval, {size:count} at a time"),
    "needs-samples": QT_TRANSLATE_NOOP("phrases", "This needs at least two samples: choose more in the Input menu."),
    "needs-cutting": QT_TRANSLATE_NOOP("phrases", "The input is one whole and cannot be cut into samples."),
    "no-row-per-sample": QT_TRANSLATE_NOOP(
        "phrases", "The output has no row per sample, so no sample's answer can be followed."
    ),
    "width-varies": QT_TRANSLATE_NOOP(
        "phrases", "The output of a sample has another shape in other company, so its answers cannot be compared."
    ),
    "company-raises": QT_TRANSLATE_NOOP(
        "phrases", "The model runs with too few batch sizes to compare the layers: it raises with the others."
    ),
    "company-draws": QT_TRANSLATE_NOOP(
        "phrases",
        "From {module} on nothing can be said of the layers: it draws at random whatever its flag, and other "
        "company means other draws.",
    ),
    "company-calls-differ": QT_TRANSLATE_NOOP(
        "phrases", "In company the model calls other modules: the layers are compared up to there."
    ),
    "repeating-same": QT_TRANSLATE_NOOP("phrases", "Running again with the same seed"),
    "repeating-other": QT_TRANSLATE_NOOP("phrases", "Running again with other seeds"),
    "reseeding": QT_TRANSLATE_NOOP("phrases", "Seeding only {name} otherwise"),
    "mc-passes": QT_TRANSLATE_NOOP("phrases", "Running {passes:count} {passes:pass|passes} with every dropout on"),
    "dropout-alone": QT_TRANSLATE_NOOP("phrases", "Only {module} on"),
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
    "checkpoint-consent-model": QT_TRANSLATE_NOOP(
        "phrases",
        "{file} holds a whole pickled model: reading it would run code of its author ({globals}). "
        "Save the state dict instead, or allow it if you trust where the file came from.",
    ),
    "statistics-missing": QT_TRANSLATE_NOOP(
        "phrases",
        "{count:count} running {count:statistic is|statistics are} not in the checkpoint (first: {first}): these "
        "layers "
        "keep the ones they were built with, so their answers in eval mean nothing yet.",
    ),
    "counters-missing": QT_TRANSLATE_NOOP(
        "phrases",
        "{count:count} batch {count:counter|counters} (num_batches_tracked) {count:is|are} not in the checkpoint, "
        "as in "
        "files of old torch. "
        "Running statistics are there, so eval is not affected.",
    ),
    "weights-tied": QT_TRANSLATE_NOOP(
        "phrases",
        "{count:count} {count:tensor shares|tensors share} the weights of others and {count:is|are} saved under their "
        "names: {names}.",
    ),
    "prefix-added": QT_TRANSLATE_NOOP(
        "phrases", "The checkpoint holds a part of the model: its keys were put under {prefix}"
    ),
    "alignment-proposed": QT_TRANSLATE_NOOP(
        "phrases",
        "{count:count} {count:tensor of another name|tensors of other names} may be the model's: {theirs} → {ours} "
        "… ({shape:count} by shape, "
        "{name:count} by name, {order:count} by order alone). They are loaded so only if you ask for it.",
    ),
    "aligned-beyond-names": QT_TRANSLATE_NOOP(
        "phrases",
        "{count:count} {count:tensor of another name was|tensors of other names were} loaded as aligned: {theirs} → "
        "{ours} … ({shape:count} by shape, "
        "{name:count} by name, {order:count} by order alone).",
    ),
    "checkpoint-other-names": QT_TRANSLATE_NOOP(
        "phrases",
        "No name in {file} is one of {model}'s. By their shapes {count:count} {count:tensor|tensors} may be among "
        "the model's "
        "{of:count}: {theirs} → {ours} … ({shape:count} by shape, {name:count} by name, {order:count} by order alone). "
        "Load them so if it is the same network.",
    ),
    "loaded-in-part": QT_TRANSLATE_NOOP(
        "phrases",
        "{count:count} {count:tensor|tensors} of another shape {count:was|were} loaded in part ({first} …): "
        "{elements:count} of their {of:count} "
        "values are the checkpoint's, the others those that the model was built with.",
    ),
    "arguments-known": QT_TRANSLATE_NOOP("phrases", "{error} {file} says {taken} (under {key}): open {spec}"),
    "arguments-partly-known": QT_TRANSLATE_NOOP(
        "phrases",
        "{error} {file} says {taken} (under {key}); it does not say {lacking}: write these too, after {spec}",
    ),
    "arguments-differ": QT_TRANSLATE_NOOP(
        "phrases", "{file} was made with {taken} (under {key}): {spec} would have its shapes."
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
    "flags-not-taken": QT_TRANSLATE_NOOP(
        "phrases",
        "The file holds a model with its flags ({train:count} train, {eval:count} eval): only its weights were taken.",
    ),
    "checkpoint-says": QT_TRANSLATE_NOOP("phrases", "Beside the weights the file says: {facts}."),
    "dtype-converted": QT_TRANSLATE_NOOP(
        "phrases", "{count:count} {count:tensor was|tensors were} converted from {source} to the model's {target}."
    ),
    # --- inputs
    "example-failed": QT_TRANSLATE_NOOP("phrases", "The model’s own example cannot be used: {error}"),
    "example-from-model": QT_TRANSLATE_NOOP("phrases", "The example is the model’s own {name}."),
    "shape-guessed": QT_TRANSLATE_NOOP(
        "phrases", "The shape {shape} is a guess from {why} that the model took: change it if yours is another."
    ),
    "labels-not-classes": QT_TRANSLATE_NOOP(
        "phrases", "{name} ({shape}, {dtype}) is not one class per sample, so it is not used as labels."
    ),
    "noise-time-first": QT_TRANSLATE_NOOP(
        "phrases",
        "{module} was made with batch_first=False: unless the model turns its input round, the first dimension is time "
        "to it, and what is called a sample here is one step. Give an input of your own to be sure.",
    ),
    "noise-kept": QT_TRANSLATE_NOOP("phrases", "Not noise but the example's own: {names}."),
    "noise-tokens": QT_TRANSLATE_NOOP(
        "phrases", "Noise for this model is random tokens from {low:count} to {high:count}."
    ),
    "input-dtype": QT_TRANSLATE_NOOP("phrases", "The input was converted from {source} to the model's {target}."),
    # --- structure
    "overrides-train": QT_TRANSLATE_NOOP(
        "phrases",
        "This class's train() may do more than set the flag, or less ({source:place}). It is not called unasked.",
    ),
    "overrides-eval": QT_TRANSLATE_NOOP(
        "phrases",
        "This class's eval() may do more than set the flag, or less ({source:place}). It is not called unasked.",
    ),
    "unregistered": QT_TRANSLATE_NOOP(
        "phrases",
        "{attribute} holds {count:count} {count:module|modules} in plain Python, not registered: train(), eval() and "
        "state_dict() never reach {count:it|them} ({at}). Use nn.ModuleList or nn.ModuleDict.",
    ),
    "training-property": QT_TRANSLATE_NOOP(
        "phrases", "This class defines training as a property: who reads it cannot be heard."
    ),
    "script": QT_TRANSLATE_NOOP("phrases", "A scripted {name}: what happens inside is not seen."),
    "traced-script": QT_TRANSLATE_NOOP(
        "phrases", "A traced {name}: the mode it was traced in is baked in, and its flag has no effect."
    ),
    "traced-in-train": QT_TRANSLATE_NOOP(
        "phrases", "A traced {name}: its training form is baked in, and its flag has no effect."
    ),
    "traced-in-eval": QT_TRANSLATE_NOOP(
        "phrases", "A traced {name}: its eval form is baked in, and its flag has no effect."
    ),
    "frozen-script": QT_TRANSLATE_NOOP("phrases", "A frozen script of {name}: it has no mode."),
    "compiled": QT_TRANSLATE_NOOP(
        "phrases",
        "torch.compile's wrapper: its flag is that of _orig_mod, the model itself. While it is observed it runs as it "
        "was written; rounding may differ.",
    ),
    "parallel-unwrapped": QT_TRANSLATE_NOOP(
        "phrases",
        "The model is wrapped in {type}. Shown and run is the model inside: in your code its paths begin with "
        "“module.”.",
    ),
    "compiled-unwrapped": QT_TRANSLATE_NOOP(
        "phrases",
        "The model is compiled (torch.compile). Shown and run is the model inside, uncompiled: the same weights and "
        "flags; rounding may differ.",
    ),
    "compiled-call": QT_TRANSLATE_NOOP(
        "phrases",
        "compile() was called on this module. While it is observed it runs as it was written; rounding may differ.",
    ),
    "wrapper": QT_TRANSLATE_NOOP("phrases", "{type} only wraps the model below."),
    "parametrized": QT_TRANSLATE_NOOP("phrases", "Computed anew each time they are read: {tensors}."),
    "weight-hook": QT_TRANSLATE_NOOP("phrases", "Computed anew before each forward: {tensors}."),
    "lazy": QT_TRANSLATE_NOOP("phrases", "Takes its shape from the first input it sees."),
    "shared": QT_TRANSLATE_NOOP("phrases", "The same module in {count:count} places, also at {paths}."),
    "holds-itself": QT_TRANSLATE_NOOP("phrases", "The same module as {path} above it: it is not opened again."),
    "rows-cut": QT_TRANSLATE_NOOP("phrases", "The model has more paths than can be shown: {count:count} are."),
    "raised-one-value": QT_TRANSLATE_NOOP(
        "phrases",
        "{type} is in train and got one value per channel, which has no variance. More samples cure it, or eval.",
    ),
    "raised-without-targets": QT_TRANSLATE_NOOP(
        "phrases",
        "In train this module wants targets, which the input has not (flag read at {source:place}). Try eval.",
    ),
    "raised-in-train": QT_TRANSLATE_NOOP(
        "phrases", "It is in train, and its code reads that flag at {source:place}: eval may not raise."
    ),
    "listening-spent": QT_TRANSLATE_NOOP(
        "phrases",
        "Reads of training flags are no longer listened to: after {count:count} times it would slow the model process "
        "down for good. Restart it to listen again.",
    ),
    # --- what is wrong with a module's tensors
    "has-nan": QT_TRANSLATE_NOOP("phrases", "{tensor} holds {count:count} NaN"),
    "has-infinite": QT_TRANSLATE_NOOP("phrases", "{tensor} holds {count:count} infinite {count:value|values}"),
    "zero-variance": QT_TRANSLATE_NOOP(
        "phrases", "running variance 0 in {count:count} of {channels:count} {channels:channel|channels}"
    ),
    "negative-variance": QT_TRANSLATE_NOOP(
        "phrases", "negative running variance in {count:count} of {channels:count} {channels:channel|channels}"
    ),
    "untouched-statistics": QT_TRANSLATE_NOOP("phrases", "statistics never updated: mean 0, variance 1"),
    "needs-more-than-one-value": QT_TRANSLATE_NOOP(
        "phrases",
        "{type} in train raises with one sample, unless its input has a length: one value per channel has no variance.",
    ),
}
