"""Numbers are written the same in every table: four significant digits, never in powers of ten."""

import math
from collections.abc import Iterable

DIGITS = 4
MISSING = "not known"
MINUS = "\u2212"


def number(value: float | None, digits: int = DIGITS) -> str:
    """Return a number with so many significant digits; whole digits are never cut.

    >>> number(1234.5678), number(0.000123456), number(7.0), number(None)
    ('1235', '0.0001235', '7', 'not known')
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "infinite" if value > 0 else f"{MINUS}infinite"
    if not value:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(places, 12)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"0", "-0"} else text.replace("-", MINUS)


def places_for(spans: Iterable[float]) -> int:
    """Return how many decimals show the widest of some spans to three significant digits.

    >>> places_for([0.5, 0.2]), places_for([40.0])
    (3, 1)
    """
    widest = max((one for one in spans if math.isfinite(one)), default=0.0)
    return min(12, max(0, 2 - math.floor(math.log10(widest)))) if widest > 0 else 3


def decimal(value: float | None, places: int) -> str:
    """Return a number with so many decimals, so that a column of them lines up."""
    if value is None or not math.isfinite(value):
        return number(value)
    text = f"{value:.{places}f}"
    return text.replace("-", MINUS) if float(text) else text.lstrip("-")


def signed(value: float, places: int) -> str:
    """Return a difference, with its sign."""
    text = decimal(value, places)
    return f"+{text}" if value > 0 and float(text) else text


def interval(low: float, high: float, places: int | None = None) -> str:
    """Return both ends of an interval, with so many decimals where they are given."""
    if places is None:
        return f"{number(low)} to {number(high)}"
    return f"{decimal(low, places)} to {decimal(high, places)}"


def with_interval(estimate: float, low: float, high: float, unit: str = "") -> tuple[str, str]:
    """Return an estimate with its unit, and its interval, to two digits of the interval's width.

    >>> with_interval(144.411, 143.93, 144.892), with_interval(1.096, 0.889, 1.303, "mmHg")
    (('144.41', '143.93 to 144.89'), ('1.10 mmHg', '0.89 to 1.30'))
    """
    places = max(0, places_for([high - low]) - 1)
    return f"{decimal(estimate, places)} {unit}".rstrip(), interval(low, high, places)


def percent(share: float | None) -> str:
    """Return a share in percent.

    >>> percent(0.0204), percent(1.0)
    ('2.0 %', '100.0 %')
    """
    return MISSING if share is None or math.isnan(share) else f"{100 * share:.1f} %"


def count(n: float) -> str:
    r"""Return a whole number, thousands apart from 10 000 on.

    >>> count(5000), count(1234567).split("\u00a0")
    ('5000', ['1', '234', '567'])
    """
    whole = round(n)
    return str(whole) if abs(whole) < 10_000 else f"{whole:,}".replace(",", "\u00a0")
