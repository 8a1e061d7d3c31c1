"""The rules of ``rules28`` decided one by one against zen-engine, and as a table against NumPy.

Run as ``python -m benchmarks.decide``. All engines decide the same patients, and must agree.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.by_hand import Columns, by_mask, by_select
from benchmarks.report import Line, in_turn, show
from benchmarks.rules28 import SEXES, STEPS, draw_state, the_bundle
from benchmarks.zen import zen_decision
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.scalar import complete, judge
from cds_engine.decide.table import Column, Table, decide_table

ONE_BY_ONE = 2_000
DIFFERENT = 20_000
ROWS = 1_000_000
MISSING = 0.03
"""Share of inputs that is missing: a third of the patients lack something."""

LIMIT_US = 20.0
TIMES_ZEN = 10.0
SHARE_OF_NUMPY = 1 / 3


def main() -> None:
    """Measure and print."""
    bundle = the_bundle()
    show("One decision, trace included: 28 branches, 13 variables", one_by_one(bundle))
    show(f"{ROWS:,} decisions: the same rules", as_table(bundle))


def one_by_one(bundle: RuleBundle) -> list[Line]:
    """Decide single patients, complete and with missing inputs, against zen-engine."""
    whole, gaps = patients(ONE_BY_ONE, 0.0), patients(ONE_BY_ONE, MISSING)
    zen = zen_decision()
    for state in whole:
        said = zen.evaluate(state)["result"]["action"]
        assert said == judge(bundle, complete(bundle, state)).action, "the engines disagree"

    def ours(states: Sequence[Mapping[str, Any]]) -> None:
        for state in states:
            judge(bundle, complete(bundle, state))

    def theirs() -> None:
        for state in whole:
            zen.evaluate(state)

    times = in_turn([lambda: ours(whole), lambda: ours(gaps), theirs])
    known, lacking, other = (1e6 * taken / ONE_BY_ONE for taken in times)
    return [
        Line("everything known", f"{known:.1f} us", f"under {LIMIT_US:.0f} us", known < LIMIT_US),
        Line(
            f"{MISSING:.0%} of inputs missing",
            f"{lacking:.1f} us",
            f"under {LIMIT_US:.0f} us",
            lacking < LIMIT_US,
        ),
        Line(
            "against zen-engine",
            f"{other / known:.1f} times as fast",
            f"{other:.0f} us; at least {TIMES_ZEN:.0f} times",
            other / known >= TIMES_ZEN,
        ),
    ]


def as_table(bundle: RuleBundle) -> list[Line]:
    """Decide a table, complete and with missing inputs, against the same rules by hand."""
    whole = repeated(Table.from_states(bundle, patients(DIFFERENT, 0.0)))
    gaps = repeated(Table.from_states(bundle, patients(DIFFERENT, MISSING)))
    columns = without_missing(whole)
    expected = decide_table(bundle, whole).action
    for by_hand in (by_mask, by_select):
        assert np.array_equal(by_hand(columns), expected), "the evaluators disagree"

    def ours(table: Table) -> None:
        decisions = decide_table(bundle, table)
        _ = decisions.outcome, decisions.action

    works = [lambda: ours(whole), lambda: ours(gaps), lambda: by_mask(columns),
             lambda: by_select(columns)]  # fmt: skip
    known, lacking, mask, select = (ROWS / taken / 1e6 for taken in in_turn(works))
    wanted = f"at least {SHARE_OF_NUMPY:.0%} of {mask:.1f} M/s (NumPy by hand, nothing missing)"
    return [
        Line(name, f"{rate:.1f} M/s = {rate / mask:.0%}", wanted, rate / mask >= SHARE_OF_NUMPY)
        for name, rate in (("everything known", known), (f"{MISSING:.0%} missing", lacking))
    ] + [Line("np.select by hand", f"{select:.1f} M/s", "")]


def patients(count: int, missing: float) -> list[dict[str, Any]]:
    """Draw patients; always the same ones."""
    random_state = random.Random(28)
    return [draw_state(random_state, missing) for _ in range(count)]


def repeated(table: Table) -> Table:
    """Return a table of ``ROWS`` rows that repeats the rows of a small one."""
    times = ROWS // table.rows
    columns = {
        name: Column(
            np.tile(column.values, times),
            None if column.missing is None else np.tile(column.missing, times),
            column.categories,
        )
        for name, column in table.columns.items()
    }
    return Table(columns, ROWS)


def without_missing(table: Table) -> Columns:
    """Return bare arrays, with labels coded as ``by_hand`` reads them."""
    order = {"sex": list(SEXES), "step": list(STEPS)}
    columns = {name: column.values for name, column in table.columns.items()}
    for name, labels in order.items():
        known = table.columns[name].categories
        codes = np.array([labels.index(k) if k in labels else len(labels) for k in known])
        columns[name] = codes.astype(np.uint8)[columns[name]]
    return columns


if __name__ == "__main__":
    main()
