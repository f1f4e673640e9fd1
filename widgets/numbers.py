"""How figures are written: a true minus, a thin space in 14 274 and a no-break one before %, where no line
breaks. No Qt, so anyone may use it."""

from __future__ import annotations

import math

MINUS = "\u2212"
THIN = "\u202f"
NO_BREAK = "\u00a0"


def count(value: float) -> str:
    """A whole number with thin spaces between thousands: 14 274."""
    return f"{round(value):,}".replace(",", THIN).replace("-", MINUS)


def percent(share: float, digits: int | None = None) -> str:
    """A share of one as per cent: 0.496 → 49.6 %, 0.5 → 50 %."""
    if not math.isfinite(share):
        return f"–{NO_BREAK}%"
    if digits is None:
        digits = 0 if abs(share * 100 - round(share * 100)) < 0.05 else 1
    return f"{share * 100:.{digits}f}".replace("-", MINUS) + f"{NO_BREAK}%"


def figure(value: float | None, digits: int = 3) -> str:
    """A measured value with about ``digits`` significant digits, without trailing noise: 0.55, 1.56, 12.3, 4.1e−5."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("∞" if value > 0 else MINUS + "∞")
    if value == 0:
        return "0"
    if abs(value) >= 10**6 or abs(value) < 10**-4:
        text = f"{value:.{digits - 1}e}"
        mantissa, exponent = text.split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", MINUS)
    if abs(value) >= 10 ** (digits - 1):
        return count(value)
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{decimals}f}"
    return text.replace("-", MINUS)


def size(bytes_: int) -> str:
    """A number of bytes: 0 B, 262 KiB, 4.2 MiB."""
    amount = float(bytes_)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    text = f"{amount:.0f}" if unit == "B" or amount >= 100 else f"{amount:.1f}".removesuffix(".0")
    return f"{text}{NO_BREAK}{unit}"


def milliseconds(value: float) -> str:
    """A duration: 0.78 ms, 31 ms, 2.4 s."""
    if value >= 1000:
        return f"{value / 1000:.1f}{NO_BREAK}s"
    return f"{value:.2f}{NO_BREAK}ms" if value < 10 else f"{value:.0f}{NO_BREAK}ms"


def shape(dimensions: tuple[int, ...]) -> str:
    """1 × 32 × 4 × 4; a tensor without dimensions is a scalar."""
    return " × ".join(count(size_) for size_ in dimensions) if dimensions else "scalar"
