"""The model process: ``python -P -m modelight.engine``. Started by the window, spoken to over stdin and stdout.

Started by hand it says so and ends: it would otherwise wait for messages that nobody types.
"""

from __future__ import annotations

import faulthandler
import os
import platform
import sys

LOWEST_TORCH = (2, 6)
"""The lowest that the tests were run with; before it, ``torch.load(weights_only=True)`` can be made to run code."""
NOT_UP = 4
"""Exit status of a process whose interpreter lacks what the engine needs."""


def main() -> int:
    """Say Welcome, import torch, say Ready, then carry out commands until the window closes the pipe."""
    if sys.stdin is not None and sys.stdin.isatty():
        print("This is Modelight's model process; the window starts it. Run: modelight", file=sys.stderr)  # noqa: T201
        return 2

    from modelight.engine.process import stdio
    from modelight.engine.process.inbox import Inbox
    from modelight.protocol import VERSION, Ready, Welcome

    pipe = stdio.take_over()
    stdio.die_with_the_window()
    faulthandler.enable()  # A segmentation fault then leaves the Python stack in the console.
    pipe.send(Welcome(version=VERSION, pid=os.getpid(), python=platform.python_version()))
    inbox = Inbox(pipe)
    inbox.start()

    _wait_asleep()
    import torch

    if (too_old := _too_old(str(torch.__version__))) is not None:
        print(too_old, file=sys.stderr)  # noqa: T201 - the window quotes the last line
        return NOT_UP
    from modelight.engine.process.server import Server, devices

    pipe.send(Ready(torch=str(torch.__version__), devices=devices()))
    Server(pipe.send, inbox).serve()
    return 0


def _too_old(version: str) -> str | None:
    """What to say of a torch that is too old; None where it is not."""
    numbers = [int(part) for part in version.split("+")[0].split(".")[:2] if part.isdigit()]
    if tuple(numbers) >= LOWEST_TORCH:
        return None
    lowest = ".".join(map(str, LOWEST_TORCH))
    return f"torch {version} in {sys.executable} is too old: Modelight needs torch {lowest} or later."


def _wait_asleep() -> None:
    """Let OpenMP's threads sleep while they wait for each other; read when torch loads the library.

    By default they spin, and this process shares its cores with the window: on two busy cores a small U-Net took 41 ms
    for what takes 4 with sleeping threads. Who has set a policy keeps it.
    """
    if "GOMP_SPINCOUNT" not in os.environ:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


if __name__ == "__main__":
    sys.exit(main())
