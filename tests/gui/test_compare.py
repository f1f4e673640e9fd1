"""The comparison itself: it must see what a person would see."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtGui import QColor, QImage

from tests.gui import compare


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "EXPECTED", tmp_path / "expected")
    monkeypatch.setattr(compare, "RESULTS", tmp_path / "results")


def picture(shade: int = 200, spot: int | None = None) -> QImage:
    image = QImage(100, 80, QImage.Format.Format_RGB888)
    image.fill(QColor(shade, shade, shade))
    if spot is not None:
        for x in range(10):
            for y in range(10):
                image.setPixelColor(x, y, QColor(spot, spot, spot))
    return image


def approve(image: QImage, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("MODELIGHT_APPROVE", "1")
        compare.assert_looks_like(image, "page")


def test_the_same_picture_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    approve(picture(spot=20), monkeypatch)
    monkeypatch.delenv("MODELIGHT_APPROVE", raising=False)
    compare.assert_looks_like(picture(spot=20), "page")


@pytest.mark.parametrize("spot", [20, 255], ids=["darker", "brighter"])
def test_a_spot_fails_and_leaves_three_pictures(spot: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELIGHT_APPROVE", raising=False)
    approve(picture(), monkeypatch)
    with pytest.raises(AssertionError, match="differ"):
        compare.assert_looks_like(picture(spot=spot), "page")
    saved = {path.name for path in (tmp_path / "results" / "page").iterdir()}
    assert saved == {"actual.png", "expected.png", "difference.png"}


def test_another_size_or_no_approved_picture_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELIGHT_APPROVE", raising=False)
    with pytest.raises(AssertionError, match="expected"):
        compare.assert_looks_like(picture(), "page")
    approve(picture().scaled(50, 50), monkeypatch)
    with pytest.raises(AssertionError, match="50"):
        compare.assert_looks_like(picture(), "page")
