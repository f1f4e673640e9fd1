"""Find the system libraries that Qt needs and this machine lacks; as root on Debian or Ubuntu, install them.

Run with the program's own interpreter. Arguments are further commands that must be there (Xvfb, xdotool, for tests).
Exit status 0: nothing is missing (any more). 1: something is, and the last line says which packages to install.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

# The Debian package by the start of the library's file name.
PACKAGES = {
    "libEGL": "libegl1",
    "libGL.": "libgl1",
    "libGLX": "libglx0",
    "libOpenGL": "libopengl0",
    "libxkbcommon-x11": "libxkbcommon-x11-0",
    "libxkbcommon": "libxkbcommon0",
    "libdbus-1": "libdbus-1-3",
    "libfontconfig": "libfontconfig1",
    "libfreetype": "libfreetype6",
    "libglib-2": "libglib2.0-0",
    "libgthread-2": "libglib2.0-0",
    "libX11-xcb": "libx11-xcb1",
    "libX11": "libx11-6",
    "libxcb-cursor": "libxcb-cursor0",
    "libxcb-icccm": "libxcb-icccm4",
    "libxcb-image": "libxcb-image0",
    "libxcb-keysyms": "libxcb-keysyms1",
    "libxcb-randr": "libxcb-randr0",
    "libxcb-render-util": "libxcb-render-util0",
    "libxcb-render": "libxcb-render0",
    "libxcb-shape": "libxcb-shape0",
    "libxcb-shm": "libxcb-shm0",
    "libxcb-sync": "libxcb-sync1",
    "libxcb-util": "libxcb-util1",
    "libxcb-xfixes": "libxcb-xfixes0",
    "libxcb-xinerama": "libxcb-xinerama0",
    "libxcb-xkb": "libxcb-xkb1",
    "libxcb": "libxcb1",
    "libwayland": "libwayland-client0",
    "libnss3": "libnss3",
    "libatomic": "libatomic1",
    "libstdc++": "libstdc++6",
    "libz.": "zlib1g",
}
COMMANDS = {"Xvfb": "xvfb", "xdotool": "xdotool"}
PARTS = ("QtCore", "QtGui", "QtWidgets", "QtSvg")
PLUGINS = ("platforms/libqxcb.so", "platforms/libqoffscreen.so")


def missing_libraries() -> set[str]:
    """File names of shared libraries that the loader does not find."""
    spec = importlib.util.find_spec("PySide6")
    if spec is None or spec.origin is None:
        sys.exit("PySide6 is not installed in this environment.")
    root = Path(spec.origin).parent
    files = [root / f"{part}.abi3.so" for part in PARTS] + [root / "Qt/plugins" / plugin for plugin in PLUGINS]
    found: set[str] = set()
    for file in filter(Path.exists, files):
        listing = subprocess.run(["ldd", str(file)], capture_output=True, text=True, check=False).stdout
        found |= set(re.findall(r"^\s*(\S+) => not found", listing, re.MULTILINE))
    return found


def packages_for(libraries: set[str], commands: list[str]) -> list[str]:
    """Debian packages for what is missing; a library without a known package stands under its own name."""
    wanted = set()
    for library in libraries:
        known = [name for name in PACKAGES if library.startswith(name)]
        wanted.add(PACKAGES[max(known, key=len)] if known else library)
    wanted |= {COMMANDS[command] for command in commands if shutil.which(command) is None}
    return sorted(wanted)


def main(commands: list[str]) -> int:
    if not sys.platform.startswith("linux"):
        return 0
    packages = packages_for(missing_libraries(), commands)
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing what Qt misses:", " ".join(packages), flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], env=environment, check=False
        )
        packages = packages_for(missing_libraries(), commands)
    if packages:
        print("Qt misses system libraries. Install them and try again: sudo apt-get install", " ".join(packages))
    return 1 if packages else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
