"""``python -m modelight`` is the ``modelight`` command."""

from modelight.cli import main

if __name__ == "__main__":
    main()
