"""Reading and writing one training flag without any side effect.

``Module.train()`` recurses, may be overridden and may do anything; ``module.training = x`` walks through
``Module.__setattr__`` six times slower than the dictionary. So an ordinary module's flag is read and written in its
``__dict__``. Three kinds of module keep it elsewhere:

* a class that defines ``training`` as a property (``torch.compile``'s wrapper hands it on to ``_orig_mod``),
* scripted modules, which keep it in C++,
* frozen scripts, which have none.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from modelight.engine.errors import EngineError
from modelight.engine.modules.code import for_each_class


@for_each_class
def flag_is_property(kind: type) -> bool:
    """Whether the class, or a base below ``nn.Module``, defines ``training`` as a property or other data descriptor."""
    # nn.Module itself has a descriptor while modelight.engine.modules.listen listens: that one leaves the flag where
    # it was.
    bases = kind.__mro__[: kind.__mro__.index(nn.Module)] if issubclass(kind, nn.Module) else ()
    own = next((base.__dict__["training"] for base in bases if "training" in base.__dict__), None)
    return hasattr(type(own), "__set__")


def read(module: nn.Module) -> bool | None:
    """The module's own flag; None where it has none, or a property that fails."""
    value = module.__dict__.get("training")
    if value is not None and not flag_is_property(type(module)):
        return bool(value)
    try:
        if isinstance(module, torch.jit.ScriptModule):
            return bool(module.training) if _script_has_flag(module) else None
        return bool(module.training)
    except Exception:  # a property is the user's code: whatever it raises, the flag cannot be read
        return None


def write(module: nn.Module, training: bool) -> bool:
    """Write the module's own flag. False if there is none to write to.

    Raises:
        EngineError: the class's ``training`` property refused the value.
    """
    kind = type(module)
    if "training" in module.__dict__ and not flag_is_property(kind):
        module.__dict__["training"] = training
        return True
    if isinstance(module, torch.jit.ScriptModule) and not _script_has_flag(module):
        return False
    try:
        module.training = training
    except Exception as error:
        message = f"{kind.__name__}.training is a property that refuses {training}: {error}"
        raise EngineError(message, kind="run") from error
    return True


def _script_has_flag(module: torch.jit.ScriptModule) -> bool:
    # A Python attribute set on a frozen script would look like a flag and do nothing: ask the C++ module.
    return cast(bool, module._c.hasattr("training"))
