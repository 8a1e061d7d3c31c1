"""A patient's page that a replay leads to is held against the run's own row, and says what differs.

The page reads the records that the service was started with. Whether they are those that were
replayed cannot be seen from an id, but in what was known and said.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cds_adapters.report.replay_apart import short_digest
from cds_adapters.web.errors import PageError
from cds_adapters.web.replayfolder import DECISIONS, ReplayFolder
from cds_adapters.web.words import OUTCOMES, REASONS
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.decision import Decision
from cds_engine.vocabulary.time import moment
from cds_engine.vocabulary.value import value_text

VERSION, AGAINST = "version", "against"
"""Which version of a run a link leads to, as in the addresses of a pair."""
NOTHING = "nothing"
_SAID = ("outcome", "stage", "action", "candidates", "code")
_OWN = {VERSION: ("decision", "key"), AGAINST: ("against", "against")}
"""How the columns begin of what a version said, and of its digest and what it was not shown."""


@dataclass(frozen=True, slots=True)
class RunTold:
    """A run's row beside the page.

    Attributes:
        run: its name.
        unread: why there is no row to hold the page against; empty where there is one.
        differs: what differs, what the run says, and what the page says.
        values: how many variables were compared.
    """

    run: str
    unread: str = ""
    differs: tuple[tuple[str, str, str], ...] = ()
    values: int = 0


def run_told(
    folder: ReplayFolder | None,
    run: str,
    side: str,
    told: tuple[RuleBundle, Decision] | None,
    patient: tuple[str, tuple[str, ...]],
) -> RunTold:
    """Hold what a page says against what a run says of the same decision.

    Args:
        folder: of the runs.
        run: the run's name, as the address has it.
        side: ``against`` for the second version of the run.
        told: the version that the page shows, and its decision; None where it shows none.
        patient: the id, and the source records that are withheld.
    """
    if folder is None:
        return RunTold(run, "this service was not told where there are replays")
    if told is None:
        return RunTold(run, "the version that it replayed is not among the rule bundles here")
    bundle, decision = told
    side = AGAINST if side == AGAINST else VERSION
    try:
        rows = _rows(folder.find(run), side, patient[0], decision, bundle)
    except PageError as error:
        return RunTold(run, f"{error.title[:1].lower()}{error.title[1:]}")
    if not rows:
        return RunTold(run, "the run has no decision on this patient at this instant")
    withheld = f"{_OWN[side][1]}.withheld"
    alike = [row for row in rows if sorted(row.get(withheld) or ()) == sorted(patient[1])]
    held = [tuple(_differing(row, side, bundle, decision)) for row in alike or rows]
    names = [name for name in decision.state if name in rows[0]] if side == VERSION else []
    return RunTold(run, differs=min(held, key=len), values=len(names))


def _rows(
    path: Path, side: str, patient: str, decision: Decision, bundle: RuleBundle
) -> list[dict[str, Any]]:
    """Return the run's rows on the patient at the instant; visits may begin together.

    Raises:
        PageError: if they cannot be read.
    """
    if find_spec("pyarrow") is None:
        raise _unread()
    import pyarrow.compute as pc  # noqa: PLC0415 - optional
    import pyarrow.parquet as pq  # noqa: PLC0415 - optional

    said, own = _OWN[side]
    wanted = [f"{said}.{what}" for what in _SAID] + [f"{own}.digest", f"{own}.withheld"]
    wanted += bundle.variables if side == VERSION else ()
    here = (pc.field("key.patient") == patient) & (pc.field("key.as_of") == moment(decision.as_of))
    try:
        held = set(pq.read_schema(path / DECISIONS).names)
        names = [name for name in wanted if name in held]
        rows: list[dict[str, Any]] = pq.read_table(
            path / DECISIONS, columns=names, filters=here
        ).to_pylist()
    except (OSError, ValueError, NotImplementedError) as error:
        raise _unread() from error
    return rows


def _unread() -> PageError:
    return PageError(
        500,
        "The decisions of the run cannot be read",
        f"{DECISIONS} is missing, damaged, or has other columns.",
        "Run the replay again into the same folder.",
    )


def _differing(
    row: Mapping[str, Any], side: str, bundle: RuleBundle, decision: Decision
) -> Iterator[tuple[str, str, str]]:
    said, own = _OWN[side]
    digest = row.get(f"{own}.digest") or decision.digest
    if digest != decision.digest:
        yield "Rule bundle", short_digest(digest), short_digest(decision.digest)
    there = _words(bundle, [row.get(f"{said}.{what}") for what in _SAID])
    here = _words(bundle, [getattr(decision.judgement, what) for what in _SAID])
    for what, run, page in zip(("Outcome", "Stage", "Advice", "Reason"), there, here, strict=True):
        if run != page:
            yield what, run, page
    if side == VERSION:
        yield from _values(row, bundle, decision)


def _values(
    row: Mapping[str, Any], bundle: RuleBundle, decision: Decision
) -> Iterator[tuple[str, str, str]]:
    for name, value in decision.state.items():
        if name not in row:
            continue
        here = value if isinstance(value, str | bool | int | float) else None
        if not _same(row[name], here):
            label = bundle.variables[name].label or name
            yield label, _value(row[name]), _value(here)


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9)
    return one == other


def _value(value: Any) -> str:
    return NOTHING if value is None else value_text(value)


def _words(bundle: RuleBundle, said: Sequence[Any]) -> tuple[str, str, str, str]:
    """Return outcome, stage, advice and reason in words, of what ``_SAID`` names."""
    outcome, stage, action, candidates, code = said
    names = [action] if action else sorted(candidates or ())
    labels = [bundle.actions[one].label if one in bundle.actions else one for one in names]
    titles = {one.name: one.title or one.name for one in bundle.stages}
    return (
        OUTCOMES.get(outcome, outcome),
        titles.get(stage or "", stage or "none"),
        "; ".join(labels) or NOTHING,
        REASONS.get(code or "", code or "none"),
    )
