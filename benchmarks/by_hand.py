"""The 28 rules of ``rules28`` as one would write them by hand in NumPy, without missing values.

Two ways: ``by_select`` is the textbook one; ``by_mask`` looks at each test once, keeps the rows
that no rule has decided yet, and works in blocks that fit the cache, as our own evaluator does.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.rules28 import ACTIONS, SEXES, STEPS

Columns = Mapping[str, NDArray[Any]]
"""Numbers as float64, yes-or-no as bool, labels as places in ``STEPS`` and in ``SEXES``."""

MONITOR, LIFESTYLE, ACE, CCB, LABETALOL, DUAL, TRIPLE, REFER = range(len(ACTIONS))
NONE, ON_LIFESTYLE, ON_ACE, ON_CCB, ON_DUAL, ON_TRIPLE = range(len(STEPS))
FEMALE = SEXES.index("female")
ROWS = 32_768


def by_select(c: Columns) -> NDArray[np.int16]:
    """Return the action of every row, by ``np.select``."""
    rules = _rules(c)
    actions = [np.int16(action) for _, action in rules]
    return np.select([holds for holds, _ in rules], actions, default=np.int16(MONITOR))


def by_mask(c: Columns) -> NDArray[np.int16]:
    """Return the action of every row, block by block, with a mask of undecided rows."""
    rows = len(c["age"])
    action = np.empty(rows, dtype=np.int16)
    for start in range(0, rows, ROWS):
        block = slice(start, start + ROWS)
        _decide({name: values[block] for name, values in c.items()}, action[block])
    return action


def _decide(c: Columns, action: NDArray[np.int16]) -> None:
    action[:] = MONITOR
    undecided = np.ones(len(action), dtype=np.bool_)
    for holds, choice in _rules(c):
        now = undecided & holds
        if choice != MONITOR:
            np.copyto(action, np.int16(choice), where=now)
        undecided ^= now


def _rules(c: Columns) -> list[tuple[NDArray[np.bool_], int]]:
    age, sbp, dbp, potassium, egfr = (c[n] for n in ("age", "sbp", "dbp", "potassium", "egfr"))
    hba1c, bmi, weeks = (c[n] for n in ("hba1c", "bmi", "weeks"))
    pregnant, diabetes, smoker = (c[n] for n in ("pregnant", "diabetes", "smoker"))
    none, on_lifestyle, on_ace = (c["step"] == s for s in (NONE, ON_LIFESTYLE, ON_ACE))
    on_dual = c["step"] == ON_DUAL
    sbp140, sbp160, sbp180 = sbp >= 140, sbp >= 160, sbp >= 180
    below80, below55 = age < 80, age < 55
    egfr30 = egfr >= 30
    potassium5 = potassium < 5
    weeks4 = weeks >= 4
    waited = on_ace & weeks4
    high_lifestyle = on_lifestyle & sbp140
    return [
        (pregnant & sbp160, REFER),
        (pregnant & sbp140, LABETALOL),
        (pregnant, MONITOR),
        (sbp180 & ~egfr30, REFER),
        (dbp >= 120, REFER),
        (potassium >= 6, REFER),
        (sbp180 & none & below80, DUAL),
        ((dbp >= 110) & none & below80, DUAL),
        (none & (sbp < 130) & (dbp < 80), MONITOR),
        (none & (sbp >= 130) & ~sbp140 & ~diabetes & (age < 65), LIFESTYLE),
        (none & diabetes & egfr30 & (potassium < 5.5), ACE),
        (none & smoker & (bmi >= 30), LIFESTYLE),
        (none & ~below80 & (sbp < 150), MONITOR),
        (none & ~below55, CCB),
        (none & (c["sex"] == FEMALE) & (age < 50), CCB),
        (none & potassium5, ACE),
        (on_lifestyle & (weeks < 12), MONITOR),
        (high_lifestyle & below55 & egfr30, ACE),
        (high_lifestyle, CCB),
        (on_lifestyle & (hba1c >= 7.5) & ~diabetes, REFER),
        (on_ace & (potassium >= 5.5), CCB),
        (waited & sbp140 & ~sbp160, DUAL),
        (waited & sbp160 & (egfr >= 45), TRIPLE),
        ((c["step"] == ON_CCB) & weeks4 & sbp140 & egfr30 & potassium5, DUAL),
        (on_dual & weeks4 & sbp140 & (bmi < 40), TRIPLE),
        (on_dual & (hba1c >= 9) & diabetes, REFER),
        ((c["step"] == ON_TRIPLE) & (weeks >= 8) & sbp140, REFER),
    ]
