"""Phrases: findings. See ``modelight.phrases`` for the format.

A finding's values may name its title (``title``) and the sentences of its body (``say``), where one finding is told in
more than one way; otherwise they are ``ID.title`` and ``ID.body``. Figures that matter stand between ``**``: the window
shows them bold, plain text leaves the marks out.
"""

from __future__ import annotations

from modelight.phrases import QT_TRANSLATE_NOOP
from modelight.protocol import Clause, Finding

PHRASES: dict[str, str] = {
    # --- the input
    "ML101.title": QT_TRANSLATE_NOOP("phrases", "Output ignores the input"),
    "ML101.solved": QT_TRANSLATE_NOOP("phrases", "Output follows the input again"),
    "ML101.now.probability": QT_TRANSLATE_NOOP(
        "phrases", "{inputs:count} inputs all give class {column} at **{mean:.2f} ± {std:.2f}**."
    ),
    "ML101.now.probability.noise": QT_TRANSLATE_NOOP(
        "phrases",
        "{inputs:count} inputs, {noise:count} of them noise, all give class {column} at **{mean:.2f} ± {std:.2f}**.",
    ),
    "ML101.now.value": QT_TRANSLATE_NOOP(
        "phrases", "{inputs:count} inputs all give **{mean:figure} ± {std:figure}** (value {column} of the output)."
    ),
    "ML101.now.value.noise": QT_TRANSLATE_NOOP(
        "phrases",
        "{inputs:count} inputs, {noise:count} of them noise, all give **{mean:figure} ± {std:figure}** "
        "(value {column} of the output).",
    ),
    "ML101.collapse": QT_TRANSLATE_NOOP("phrases", "They stop differing at **{collapse}**."),
    "ML101.collapse.alone": QT_TRANSLATE_NOOP(
        "phrases", "They stop differing at **{collapse}**: in train, {culprit} normalises a single sample by itself."
    ),
    "ML101.collapse.batch": QT_TRANSLATE_NOOP(
        "phrases", "They stop differing at **{collapse}**: in train, {culprit} normalises each batch by itself."
    ),
    "ML101.culprit": QT_TRANSLATE_NOOP(
        "phrases", "Flipping **{culprit}** alone accounts for {culprit_share:percent} of the difference to eval."
    ),
    "ML101.flip.probability": QT_TRANSLATE_NOOP(
        "phrases", "Flipped to eval, the answers run from {eval_low:.2f} to {eval_high:.2f}."
    ),
    "ML101.flip.value": QT_TRANSLATE_NOOP(
        "phrases", "Flipped to eval, the answers run from {eval_low:figure} to {eval_high:figure}."
    ),
    # --- statistics
    "ML110.solved": QT_TRANSLATE_NOOP("phrases", "These layers no longer use the batch’s statistics"),
    "ML110.title": QT_TRANSLATE_NOOP("phrases", "{layers:count} layers use this batch’s statistics"),
    "ML110.title.one": QT_TRANSLATE_NOOP("phrases", "1 layer uses this batch’s statistics"),
    "ML110.restored": QT_TRANSLATE_NOOP(
        "phrases", "{buffers:count} buffers would have moved in this run. They were put back."
    ),
    "ML110.restored.one": QT_TRANSLATE_NOOP("phrases", "1 buffer would have moved in this run. It was put back."),
    "ML110.kept": QT_TRANSLATE_NOOP(
        "phrases", "{buffers:count} buffers move in each run, and stay moved: Keep updates is on."
    ),
    "ML110.kept.one": QT_TRANSLATE_NOOP("phrases", "1 buffer moves in each run, and stays moved: Keep updates is on."),
    "ML110.none": QT_TRANSLATE_NOOP("phrases", "No buffer moves: nothing is learned from these batches."),
    "ML111.title": QT_TRANSLATE_NOOP("phrases", "{layers:count} frozen layers still move"),
    "ML111.title.one": QT_TRANSLATE_NOOP("phrases", "1 frozen layer still moves"),
    "ML111.body": QT_TRANSLATE_NOOP(
        "phrases",
        "No parameter of {first} requires grad, yet each run in train moves its running statistics: "
        "requires_grad=False does not freeze them. Eval does.",
    ),
    "ML112.solved": QT_TRANSLATE_NOOP("phrases", "Running statistics are the checkpoint’s again"),
    "ML112.title": QT_TRANSLATE_NOOP("phrases", "Running statistics of {layers:count} layers have moved"),
    "ML112.title.one": QT_TRANSLATE_NOOP("phrases", "Running statistics of 1 layer have moved"),
    "ML112.body": QT_TRANSLATE_NOOP(
        "phrases",
        "{buffers:count} {buffers:buffer is|buffers are} not as they were when the model was opened. "
        "The running mean of {furthest} moved furthest, by up to **{deviations:figure}** running deviations.",
    ),
    "ML114.title": QT_TRANSLATE_NOOP("phrases", "Inputs do not match the running statistics"),
    "ML114.body": QT_TRANSLATE_NOOP(
        "phrases",
        "In eval, what reaches {first} lies **{median:figure}** running deviations from its running mean (median of "
        "{channels:count} channels, {samples:count} inputs; at most {largest:figure}). Inputs scaled or shifted "
        "otherwise than in training do this, and so do stale statistics.",
    ),
    "ML115.title": QT_TRANSLATE_NOOP("phrases", "Running statistics are broken"),
    "ML115.has-nan": QT_TRANSLATE_NOOP("phrases", "{count:count} {count:value|values} of {tensor} {count:is|are} NaN."),
    "ML115.has-infinite": QT_TRANSLATE_NOOP(
        "phrases", "{count:count} {count:value|values} of {tensor} {count:is|are} infinite."
    ),
    "ML115.zero-variance": QT_TRANSLATE_NOOP(
        "phrases", "The running variance is 0 in {count:count} of {channels:count} {channels:channel|channels}."
    ),
    "ML115.negative-variance": QT_TRANSLATE_NOOP(
        "phrases", "The running variance is negative in {count:count} of {channels:count} {channels:channel|channels}."
    ),
    "ML115.used": QT_TRANSLATE_NOOP("phrases", "The layer normalises with them now."),
    "ML115.hidden": QT_TRANSLATE_NOOP("phrases", "Train hides it: in eval the layer will normalise with them."),
    "ML116.title": QT_TRANSLATE_NOOP("phrases", "{layers:count} layers use statistics that no batch has reached"),
    "ML116.title.one": QT_TRANSLATE_NOOP("phrases", "1 layer uses statistics that no batch has reached"),
    "ML116.body": QT_TRANSLATE_NOOP(
        "phrases",
        "{first} normalises with mean 0 and variance 1, as if no batch had ever reached it in train. "
        "Load the checkpoint that belongs to the model, or let it see data in train.",
    ),
    "ML117.title": QT_TRANSLATE_NOOP("phrases", "State moves in eval"),
    "ML117.body": QT_TRANSLATE_NOOP(
        "phrases",
        "With every flag in eval a run still rewrites {tensors:count} {tensors:tensor|tensors}, {first} "
        "first of all (by {largest:figure}). They were put back; your own script does not do that.",
    ),
    "ML118.title": QT_TRANSLATE_NOOP("phrases", "State moves, and not in norm layers alone"),
    "ML118.restored": QT_TRANSLATE_NOOP(
        "phrases",
        "In these modes a run rewrites {tensors:count} {tensors:tensor|tensors} of other layers, {first} "
        "first of all (by {largest:figure}). They were put back. With every flag in eval they stay as they are.",
    ),
    "ML118.kept": QT_TRANSLATE_NOOP(
        "phrases",
        "In these modes each run rewrites {tensors:count} {tensors:tensor|tensors} of other layers, {first} "
        "first of all (by {largest:figure}), which stay so: Keep updates is on. In eval they do not move.",
    ),
    # --- randomness
    "ML120.title.one": QT_TRANSLATE_NOOP("phrases", "1 dropout is on"),
    "ML120.title.many": QT_TRANSLATE_NOOP("phrases", "{modules:count} dropouts are on"),
    "ML120.one": QT_TRANSLATE_NOOP(
        "phrases",
        "{first} drops **{observed:percent}** of {total:count} values in {runs:count} {runs:run|runs}; nominal is "
        "{p:percent}.",
    ),
    "ML120.many": QT_TRANSLATE_NOOP(
        "phrases",
        "They drop **{observed:percent}** of {total:count} values in {runs:count} {runs:run|runs}; the first is "
        "{first}.",
    ),
    "ML120.one.unseen": QT_TRANSLATE_NOOP(
        "phrases", "{first} drops {p:percent}, nominally: its masks are not seen here."
    ),
    "ML120.many.unseen": QT_TRANSLATE_NOOP("phrases", "The first is {first}; their masks are not seen here."),
    "ML120.some.unseen": QT_TRANSLATE_NOOP(
        "phrases", "Of {unseen:count} {unseen:dropout|dropouts} more the masks are not seen here."
    ),
    "ML120.chosen": QT_TRANSLATE_NOOP("phrases", "All else is in eval, as for MC dropout."),
    "ML120.solved": QT_TRANSLATE_NOOP("phrases", "These dropouts are off"),
    "ML121.title": QT_TRANSLATE_NOOP("phrases", "Dropout that eval() does not stop"),
    "ML121.body": QT_TRANSLATE_NOOP(
        "phrases",
        "With every flag in eval, {function} dropped {dropped:count} of {total:count} values in {module}, at "
        "{source:place}. "
        "It is on by default: hand it training=self.training.",
    ),
    "ML121.made": QT_TRANSLATE_NOOP(
        "phrases",
        "With every flag in eval, a {function} dropped {dropped:count} of {total:count} values in {module}, at "
        "{source:place}. It is no child of the module, so eval() cannot reach it: make it in __init__.",
    ),
    "ML122.title": QT_TRANSLATE_NOOP("phrases", "Attention drops in eval"),
    "ML122.body": QT_TRANSLATE_NOOP(
        "phrases",
        "With every flag in eval, scaled_dot_product_attention drops {p:percent} in {module}, at {source:place}. "
        "It has no training flag: give it dropout_p=0.0 in eval.",
    ),
    "ML123.title": QT_TRANSLATE_NOOP("phrases", "Random in eval"),
    "ML123.title.remembers": QT_TRANSLATE_NOOP("phrases", "Eval remembers earlier runs"),
    "ML123.remembers": QT_TRANSLATE_NOOP(
        "phrases",
        "The same input twice, every flag in eval: two answers, up to {difference:figure} apart. Nothing random was "
        "drawn, and runs that begin in the same state agree: a run changes something that the next one reads.",
    ),
    "ML123.left": QT_TRANSLATE_NOOP("phrases", "What runs change: {left}."),
    "ML123.where": QT_TRANSLATE_NOOP(
        "phrases",
        "The same input twice, every flag in eval: two answers, up to {difference:figure} apart. They part first at "
        "{module}.",
    ),
    "ML123.somewhere": QT_TRANSLATE_NOOP(
        "phrases",
        "The same input twice, every flag in eval: two answers, up to {difference:figure} apart. No module could be "
        "found at which they part.",
    ),
    "ML123.generators": QT_TRANSLATE_NOOP("phrases", "Drawn from: {generators}."),
    "ML123.source": QT_TRANSLATE_NOOP("phrases", "The line that draws is {source:place}."),
    "ML124.title": QT_TRANSLATE_NOOP("phrases", "{modules:count} dropouts are on, and nothing is random"),
    "ML124.title.one": QT_TRANSLATE_NOOP("phrases", "1 dropout is on, and nothing is random"),
    "ML124.body": QT_TRANSLATE_NOOP(
        "phrases",
        "{runs:count} runs gave the same answer bit for bit although {first} is in train: it was not called, or what "
        "it drops does not reach the output.",
    ),
    # --- gradients
    "ML130.title.on": QT_TRANSLATE_NOOP("phrases", "Gradients are on"),
    "ML130.title.off": QT_TRANSLATE_NOOP("phrases", "Gradients are off"),
    "ML130.on": QT_TRANSLATE_NOOP(
        "phrases",
        "Autograd keeps {kept:size} for backward after each forward. eval() does not stop that; no_grad() does.",
    ),
    "ML130.off": QT_TRANSLATE_NOOP(
        "phrases",
        "{grad_mode} stops neither dropout nor batch statistics: {modules:count} modules act as in training.",
    ),
    "ML130.off.one": QT_TRANSLATE_NOOP(
        "phrases", "{grad_mode} stops neither dropout nor batch statistics: 1 module acts as in training."
    ),
    "ML131.title": QT_TRANSLATE_NOOP("phrases", "Gradients all the same"),
    "ML131.body": QT_TRANSLATE_NOOP(
        "phrases",
        "The run was made under {grad_mode}, yet what {module} returns carries a graph. Code inside turns gradients on "
        "again, or works in a thread of its own: grad mode is per thread, and begins there as on.",
    ),
    # --- structure
    "ML140.title": QT_TRANSLATE_NOOP("phrases", "Modules that nothing reaches"),
    "ML140.body": QT_TRANSLATE_NOOP(
        "phrases",
        "{attribute} of {module} holds modules in plain Python ({at}): train(), eval(), parameters() and state_dict() "
        "never reach them.",
    ),
    "ML140.sensitive": QT_TRANSLATE_NOOP(
        "phrases",
        "Among them are layers that act differently in train and eval ({sensitive:count}): they stay as they are.",
    ),
    "ML141.title": QT_TRANSLATE_NOOP("phrases", "A train() that does not hand the mode on"),
    "ML141.body": QT_TRANSLATE_NOOP(
        "phrases",
        "{type} has a train() of its own that never uses its argument, or sets no mode at all ({source:place}): "
        "a script that"
        " calls eval() may get something else, or start a training run. It is not called unless you ask.",
    ),
    "ML142.title": QT_TRANSLATE_NOOP("phrases", "Asked for eval, got train"),
    "ML142.body": QT_TRANSLATE_NOOP(
        "phrases",
        "The model is in eval, yet {count:count} {count:layer|layers} below {module} {count:is|are} in train, {first} "
        "first of all. {type} has "
        "a train() of its own ({source:place}).",
    ),
    "ML143.title": QT_TRANSLATE_NOOP("phrases", "A run leaves {modules:count} modules in another mode"),
    "ML143.title.one": QT_TRANSLATE_NOOP("phrases", "A run leaves 1 module in another mode"),
    "ML143.many": QT_TRANSLATE_NOOP(
        "phrases",
        "After one run {modules:count} modules are no longer in the mode they were in, {first} first of all (it was "
        "in {was}).",
    ),
    "ML143.one": QT_TRANSLATE_NOOP(
        "phrases", "After one run {first} is no longer in the mode it was in, which was {was}."
    ),
    "ML143.why": QT_TRANSLATE_NOOP(
        "phrases",
        "The model’s own code sets modes as it runs. The flags were put back here; your script does not do that.",
    ),
    # --- company
    "ML150.solved": QT_TRANSLATE_NOOP("phrases", "Batch-mates no longer change the answer"),
    "ML150.title": QT_TRANSLATE_NOOP("phrases", "Batch-mates change the answer"),
    "ML150.probability": QT_TRANSLATE_NOOP(
        "phrases",
        "The first input alone gives class {column} at **{alone:.2f}**; among {mates:count} {mates:other|others}, at "
        "**{company:.2f}**.",
    ),
    "ML150.value": QT_TRANSLATE_NOOP(
        "phrases",
        "The first input alone gives **{alone:figure}**; among {mates:count} {mates:other|others}, "
        "**{company:figure}** "
        "(value {column} of the output).",
    ),
    "ML150.where": QT_TRANSLATE_NOOP("phrases", "It is {module} that first mixes them."),
    "ML160.title": QT_TRANSLATE_NOOP("phrases", "Inference tensors cannot be trained on"),
    "ML160.body": QT_TRANSLATE_NOOP(
        "phrases", "Outputs made under inference_mode raise in backward. Use no_grad where they return to training."
    ),
    "ML160.title.held": QT_TRANSLATE_NOOP("phrases", "Weights are inference tensors"),
    "ML160.held": QT_TRANSLATE_NOOP(
        "phrases",
        "{tensors:count} {tensors:parameter or buffer was|parameters and buffers were} made under inference_mode "
        "({names}): {tensors:it|they} cannot be trained, and not be written to outside it. Build or load the model "
        "outside inference_mode.",
    ),
    "ML160.raised": QT_TRANSLATE_NOOP("phrases", "With gradients on, the forward itself raises."),
    "ML170.title": QT_TRANSLATE_NOOP("phrases", "One value per channel is not enough in train"),
    "ML170.body": QT_TRANSLATE_NOOP(
        "phrases",
        "The model raised: {error}. In train this layer needs the deviation of its batch; run more samples at once, or "
        "put it in eval.",
    ),
    # --- the checkpoint
    "ML180.title": QT_TRANSLATE_NOOP("phrases", "The checkpoint leaves gaps"),
    "ML180.absent": QT_TRANSLATE_NOOP(
        "phrases",
        "{absent:count} {absent:tensor of the model is|tensors of the model are} not in the checkpoint "
        "({absent_names}).",
    ),
    "ML180.mismatched": QT_TRANSLATE_NOOP(
        "phrases",
        "{mismatched:count} {mismatched:has|have} another shape there and {mismatched:was|were} not loaded "
        "({mismatched_names}).",
    ),
    "ML180.so": QT_TRANSLATE_NOOP(
        "phrases", "What was not loaded is as the model was built. Loaded: {loaded:count} {loaded:tensor|tensors}."
    ),
    # --- cures that were tried
    "remedy.verified": QT_TRANSLATE_NOOP("phrases", "Tried: with this, the finding is gone."),
    "remedy.failed": QT_TRANSLATE_NOOP("phrases", "Tried: with this, the finding is still there."),
}


def title(finding: Finding) -> str:
    """The finding in a few words, as plain text."""
    return plain(marked(finding)[0])


def body(finding: Finding) -> str:
    """What was found, in sentences, one per line, as plain text."""
    return plain("\n".join(marked(finding)[1]))


def marked(finding: Finding) -> tuple[str, list[str]]:
    """Title and sentences, with ``**`` around the figures that matter."""
    from modelight.phrases import phrase

    said = finding.values.get("say")
    ids = said if isinstance(said, list) else [f"{finding.id}.body"]
    first = str(finding.values.get("title") or f"{finding.id}.title")
    return phrase(Clause(first, finding.values)), [phrase(Clause(str(id_), finding.values)) for id_ in ids]


def plain(text: str) -> str:
    """Without the marks around figures."""
    return text.replace("**", "")
