"""A column holds what its variable is declared to hold, or it is told what it holds instead."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cds_engine.estimate.columns import Bools, missing
from cds_engine.vocabulary.kind import Kind

_EXAMPLES = 3
_LONGEST = 12
"""Characters of an example: enough for a unit or a word, too few for what somebody wrote."""

_WORDS = {
    "number": "numbers", "boolean": "yes or no (true and false, or 1 and 0)", "label": "labels",
}  # fmt: skip


def as_declared(
    values: NDArray[Any], kind: Kind, *, examples: bool = True
) -> tuple[NDArray[Any], str]:
    """Return a column as its kind is held, and what is wrong with it (empty if nothing is).

    Whole numbers 0 and 1 are yes or no where that is declared; nothing else is converted. What is
    wrong is told with its count and form: at most three forms, digits hidden.

    Args:
        values: float64, bool or object, as ``plain`` gives them.
        kind: what is declared.
        examples: whether forms may be shown; not where the column identifies patients.
    """
    gone = missing(values)
    fits, convert = _FITTING[kind.type]
    wrong = [one for one in values[~gone].tolist() if not fits(one)]
    if not wrong:
        return convert(values, gone), ""
    said = f" (such as {', '.join(_forms(wrong))})" if examples else ""
    return values, (f"{len(wrong)} of {len(values)} values are not {_WORDS[kind.type]}, as "
                    f"{kind.label} is declared{said}; correct them or the declaration")  # fmt: skip


def _is_number(one: object) -> bool:
    return isinstance(one, Real | Decimal) and not isinstance(one, bool | np.bool_)


def _is_boolean(one: object) -> bool:
    return isinstance(one, bool | np.bool_) or (_is_number(one) and one in {0, 1})


def _is_label(one: object) -> bool:
    return not isinstance(one, bool | np.bool_) and not _is_number(one)


def _numbers(values: NDArray[Any], gone: Bools) -> NDArray[Any]:
    return np.where(gone, np.nan, values).astype(np.float64)


def _booleans(values: NDArray[Any], gone: Bools) -> NDArray[Any]:
    return _numbers(values, gone) if gone.any() else values.astype(np.bool_)


def _labels(values: NDArray[Any], gone: Bools) -> NDArray[Any]:
    held = values.astype(object)
    held[gone] = None
    return held


_Fits = Callable[[object], bool]
_Convert = Callable[[NDArray[Any], Bools], NDArray[Any]]
_FITTING: dict[str, tuple[_Fits, _Convert]] = {
    "number": (_is_number, _numbers),
    "boolean": (_is_boolean, _booleans),
    "label": (_is_label, _labels),
}


def _forms(values: Iterable[object]) -> list[str]:
    seen = Counter(map(_form, values))
    return sorted(seen, key=lambda form: (-seen[form], form))[:_EXAMPLES]


def _form(value: object) -> str:
    """Return what a value looks like; a code of one digit as it is, else no digit."""
    if _is_number(value):
        text = f"{value:g}"
        return text if re.fullmatch(r"-?\d", text) else re.sub(r"\d", "#", text)
    if isinstance(value, bool | np.bool_):
        return str(value)
    text = re.sub(r"\d", "#", str(value))
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")
