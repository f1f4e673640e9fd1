"""Phrases: a checkpoint looked at by itself. See ``modelight.phrases`` for the format."""

from __future__ import annotations

from modelight.phrases import QT_TRANSLATE_NOOP

PHRASES: dict[str, str] = {
    # --- kinds, told from names and shapes
    "kind-named": QT_TRANSLATE_NOOP("phrases", "{type}"),
    "kind-module": QT_TRANSLATE_NOOP("phrases", "module"),
    "kind-no-tensors": QT_TRANSLATE_NOOP("phrases", "no tensors"),
    "kind-own-tensors": QT_TRANSLATE_NOOP("phrases", "module with tensors of its own"),
    "kind-sequence": QT_TRANSLATE_NOOP("phrases", "Sequential or ModuleList, {count:count} with tensors"),
    "kind-attention-block": QT_TRANSLATE_NOOP("phrases", "attention, heads unknown"),
    "kind-attention": QT_TRANSLATE_NOOP("phrases", "MultiheadAttention of width {width:count}, heads unknown"),
    "kind-batch-norm": QT_TRANSLATE_NOOP("phrases", "BatchNorm of {channels:count} channels, 1d, 2d or 3d unknown"),
    "kind-batch-norm-plain": QT_TRANSLATE_NOOP(
        "phrases", "BatchNorm or InstanceNorm of {channels:count} channels without weight, 1d, 2d or 3d unknown"
    ),
    "kind-linear": QT_TRANSLATE_NOOP("phrases", "Linear {inputs:count} → {outputs:count}"),
    "kind-linear-without-bias": QT_TRANSLATE_NOOP("phrases", "Linear {inputs:count} → {outputs:count} without bias"),
    "kind-linear-transposed": QT_TRANSLATE_NOOP(
        "phrases", "Linear {inputs:count} → {outputs:count}, weight stored transposed"
    ),
    "kind-linear-or-embedding": QT_TRANSLATE_NOOP(
        "phrases", "Linear {inputs:count} → {outputs:count} without bias, or Embedding"
    ),
    "kind-embedding": QT_TRANSLATE_NOOP("phrases", "Embedding of {number:count}, width {width:count}"),
    "kind-convolution": QT_TRANSLATE_NOOP("phrases", "Conv{dimensions}d, {filters:count} filters of {size}"),
    "kind-convolution-either": QT_TRANSLATE_NOOP(
        "phrases", "Conv{dimensions}d or its transpose, {filters:count} times {size}"
    ),
    "kind-convolution-transposed": QT_TRANSLATE_NOOP(
        "phrases", "ConvTranspose{dimensions}d, {filters:count} times {size}"
    ),
    "kind-norm": QT_TRANSLATE_NOOP(
        "phrases", "LayerNorm, GroupNorm or another norm without statistics, of {width:count}"
    ),
    "kind-layer-norm": QT_TRANSLATE_NOOP("phrases", "LayerNorm"),
    "kind-norm-or-prelu": QT_TRANSLATE_NOOP("phrases", "RMSNorm or PReLU of {width:count}, or a norm without bias"),
    "kind-prelu": QT_TRANSLATE_NOOP("phrases", "PReLU, or a scale"),
    "kind-recurrent": QT_TRANSLATE_NOOP("phrases", "{type} {inputs:count} → {hidden:count}, layers: {layers:count}"),
    "kind-recurrent-both-ways": QT_TRANSLATE_NOOP(
        "phrases", "{type} {inputs:count} → {hidden:count}, both ways, layers: {layers:count}"
    ),
    "kind-recurrent-cell": QT_TRANSLATE_NOOP("phrases", "{type} {inputs:count} → {hidden:count}"),
    "kind-weight-norm": QT_TRANSLATE_NOOP("phrases", "weight norm: length and direction"),
    "kind-spectral-norm": QT_TRANSLATE_NOOP("phrases", "vectors of a spectral norm"),
    "kind-parametrization": QT_TRANSLATE_NOOP("phrases", "parametrized tensor"),
    "kind-rotary": QT_TRANSLATE_NOOP("phrases", "rotary position embedding"),
    "kind-quantized": QT_TRANSLATE_NOOP("phrases", "quantized layer"),
    "kind-packed-parameters": QT_TRANSLATE_NOOP("phrases", "packed parameters of a quantized layer"),
    "kind-packed-linear": QT_TRANSLATE_NOOP("phrases", "Linear with packed integer weights (GPTQ or AWQ)"),
    "kind-packed": QT_TRANSLATE_NOOP("phrases", "weights packed as {dtype}"),
    "kind-fake-quantize": QT_TRANSLATE_NOOP("phrases", "FakeQuantize"),
    "kind-observer": QT_TRANSLATE_NOOP("phrases", "observer of a quantization"),
    # --- roles of tensors
    "role-parameter": QT_TRANSLATE_NOOP("phrases", "parameter"),
    "role-buffer": QT_TRANSLATE_NOOP("phrases", "buffer"),
    # --- marks and notes
    "statistics-incomplete": QT_TRANSLATE_NOOP("phrases", "{present} is there, {absent} is not"),
    "counter-absent": QT_TRANSLATE_NOOP("phrases", "without num_batches_tracked"),
    "no-training-flags": QT_TRANSLATE_NOOP(
        "phrases", "A state dict carries no training flags: whether the model was in train or eval is not in this file."
    ),
    "flags-carried": QT_TRANSLATE_NOOP(
        "phrases", "The file carries training flags: {train:count} modules in train, {eval:count} in eval."
    ),
    "script-frozen": QT_TRANSLATE_NOOP(
        "phrases", "A frozen script: its weights are constants of its code, and no module has a training flag any more."
    ),
    "one-of-shards": QT_TRANSLATE_NOOP(
        "phrases", "By its name this is shard {number:count} of {of:count}: name the folder to open them together."
    ),
    "index-names-absent": QT_TRANSLATE_NOOP(
        "phrases", "The index names {count:count} {count:tensor|tensors} that no shard holds: {first} first."
    ),
    "modes-baked": QT_TRANSLATE_NOOP(
        "phrases",
        "A program of torch.export has no training flags: its mode was baked in when it was exported, {train:count} "
        "{train:operator|operators} in training form and {eval:count} in eval form.",
    ),
    "modes-none": QT_TRANSLATE_NOOP(
        "phrases", "A program of torch.export has no training flags, and no operator of this one has a mode."
    ),
    "flags-idle": QT_TRANSLATE_NOOP(
        "phrases",
        "No flag in this script has an effect: the mode was baked in when it was traced, {train:count} "
        "{train:operator|operators} in training form and {eval:count} in eval form.",
    ),
    "flags-idle-no-modes": QT_TRANSLATE_NOOP("phrases", "Nothing in this script looks at a training flag."),
    "mode-baked-train": QT_TRANSLATE_NOOP("phrases", "training form, baked in"),
    "mode-baked-eval": QT_TRANSLATE_NOOP("phrases", "eval form, baked in"),
    "mode-baked-both": QT_TRANSLATE_NOOP("phrases", "training and eval forms, both baked in"),
    "kinds-guessed": QT_TRANSLATE_NOOP("phrases", "Kinds are guessed from names and shapes of tensors."),
    "counters-absent": QT_TRANSLATE_NOOP(
        "phrases",
        "{count:count} {count:layer holds|layers hold} running statistics without num_batches_tracked: "
        "a file of torch before 0.4.1, or frozen batch norm.",
    ),
    "values-not-read": QT_TRANSLATE_NOOP(
        "phrases", "Only running statistics were searched for NaN and the like; other values were not read."
    ),
    # --- beside another checkpoint
    "difference-in-sum": QT_TRANSLATE_NOOP(
        "phrases", "Against {other}: {equal:count} tensors equal, {different:count} different."
    ),
    "difference-only-first": QT_TRANSLATE_NOOP("phrases", "Only here, {count:count}: {names}"),
    "difference-only-other": QT_TRANSLATE_NOOP("phrases", "Only there, {count:count}: {names}"),
    "difference-prefix-removed": QT_TRANSLATE_NOOP(
        "phrases", "“{prefix}” was taken off the names here to meet those there."
    ),
    "difference-prefix-added": QT_TRANSLATE_NOOP(
        "phrases", "“{prefix}” was put before the names here to meet those there."
    ),
    "difference-none": QT_TRANSLATE_NOOP("phrases", "equal"),
    "difference-only-here": QT_TRANSLATE_NOOP("phrases", "only here"),
    "difference-shape": QT_TRANSLATE_NOOP("phrases", "there {other}"),
    "difference-dtype": QT_TRANSLATE_NOOP("phrases", "equal values, there {other}"),
    "difference-unknown": QT_TRANSLATE_NOOP("phrases", "not comparable"),
    "difference-not-finite": QT_TRANSLATE_NOOP("phrases", "{count:count} NaN or infinite values differ"),
    "difference-from-zero": QT_TRANSLATE_NOOP("phrases", "largest {largest:figure}, from zero"),
    "difference-values": QT_TRANSLATE_NOOP("phrases", "relative {relative:figure}, largest {largest:figure}"),
    "difference-drift": QT_TRANSLATE_NOOP("phrases", "mean moved up to {drift:figure} σ"),
    # --- progress, and what cannot be shown
    "reading-values": QT_TRANSLATE_NOOP("phrases", "Reading the values of {tensor}"),
    "comparing-values": QT_TRANSLATE_NOOP("phrases", "Comparing {tensor}"),
    "values-absent": QT_TRANSLATE_NOOP("phrases", "It has a shape but no values (device meta)."),
    "values-not-strided": QT_TRANSLATE_NOOP("phrases", "It is sparse, nested or of a class of its own ({dtype})."),
    "values-complex": QT_TRANSLATE_NOOP("phrases", "Its values are complex ({dtype}), which one axis cannot show."),
    "values-repeated": QT_TRANSLATE_NOOP("phrases", "It repeats a smaller tensor (expanded), and is not read."),
    "values-packed": QT_TRANSLATE_NOOP("phrases", "Its dtype {dtype} cannot be read as numbers."),
}
