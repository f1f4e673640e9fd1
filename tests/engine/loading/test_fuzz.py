"""Thousands of broken files of every format at the loader: a state dict or a sentence each time, and no code run."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from modelight.engine import inspect
from modelight.engine.errors import EngineError
from modelight.engine.loading import checkpoint, whole
from tests.engine.loading.mutated import Mutator, net, originals

FILES = 2700
MANY = 60_000


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "files",
    [
        FILES,
        pytest.param(
            MANY,
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif("MODELIGHT_SLOW" not in os.environ, reason="MODELIGHT_SLOW=1 runs it"),
            ],
        ),
    ],
)
def test_mutated_files_end_in_a_state_dict_or_a_sentence_and_run_nothing(tmp_path: Path, files: int) -> None:
    trace = tmp_path / "was-run"
    mutator = Mutator(originals(tmp_path, trace), tmp_path / "mutated", seed=files)
    module = net()
    ends: dict[str, Counter[str]] = {}
    for number in range(files):
        kind, path = mutator.next(number)
        read = (checkpoint.read, inspect.inspect, lambda p: checkpoint.load_into(module, p), whole.load)[
            number // 8 % 4
        ]
        try:
            read(path)
            end = "read"
        except EngineError as error:
            assert error.kind in ("checkpoint", "consent", "memory", "spec"), (kind, number, error)
            assert len(str(error)) > 10 and "\n\n" not in str(error)
            end = error.kind
        except BaseException as error:
            raise AssertionError(f"{kind}, file {number}: {type(error).__name__}: {error}") from error
        ends.setdefault(kind, Counter())[end] += 1
    assert not trace.exists()
    assert len(ends) == 9
    # The mutations are worth something: in each format some files are refused; consent is asked where traps lie.
    assert all(count["checkpoint"] for count in ends.values()), ends
    assert all(ends[kind]["consent"] for kind in ("trapped", "legacy", "plain", "tar")), ends
    assert sum(count["read"] for count in ends.values()) > files // 100, ends
