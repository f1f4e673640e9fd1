"""The pytest plugin: the fixture ``modelight_check``, so that a test suite catches the bug before a person does.

pytest imports this at its start, whether or not a test asks for the fixture: so it imports neither torch nor Qt.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from torch import nn

    from modelight.engine.check import CheckReport


class ModelightCheck:
    """What the fixture gives: call it with a model and its inputs."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __call__(self, model: nn.Module, *inputs: Any, allow: Iterable[str] = (), **options: Any) -> CheckReport:
        """Fail the test, with the report as its message, if there is a finding of severity warning or worse.

        Args:
            inputs: positional arguments of ``forward``: real samples, joined along the first dimension.
            allow: ids of findings that are wanted, besides ``[tool.modelight] allow`` in ``pyproject.toml``.
            options: ``grad_mode``, ``batch``, ``seed`` and ``labels`` of :func:`modelight.check`, and keyword
                arguments of ``forward``.

        Raises:
            EngineError: the model cannot run on these inputs, for a reason that no finding explains.
        """
        __tracebackhide__ = True
        import modelight
        from modelight.waivers import allowed_in

        report = modelight.check(model, *inputs, allow=[*allow, *allowed_in(self._root)], **options)
        if report.status:
            pytest.fail(report.text(), pytrace=False)
        return report


@pytest.fixture
def modelight_check(request: pytest.FixtureRequest) -> ModelightCheck:
    """Check a model: ``modelight_check(model, *inputs, allow=["ML120"])`` fails the test on what it finds."""
    return ModelightCheck(request.config.rootpath)
