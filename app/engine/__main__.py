"""The model process: ``python -P -m modelight.engine``. Started by the window, spoken to over stdin and stdout.

Started by hand it says so and ends: it would otherwise wait for messages that nobody types.
"""

from __future__ import annotations

import faulthandler
import os
import platform
import sys


def main() -> int:
    """Say Welcome, import torch, say Ready, then carry out commands until the window closes the pipe."""
    if sys.stdin is not None and sys.stdin.isatty():
        print("This is Modelight's model process; the window starts it. Run: modelight", file=sys.stderr)  # noqa: T201
        return 2

    from modelight.engine import stdio
    from modelight.engine.inbox import Inbox
    from modelight.protocol import VERSION, Ready, Welcome

    pipe = stdio.take_over()
    stdio.die_with_the_window()
    faulthandler.enable()  # A segmentation fault then leaves the Python stack in the console.
    pipe.send(Welcome(version=VERSION, pid=os.getpid(), python=platform.python_version()))
    inbox = Inbox(pipe)
    inbox.start()

    import torch

    from modelight.engine.server import Server, devices

    pipe.send(Ready(torch=str(torch.__version__), devices=devices()))
    Server(pipe.send, inbox).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
