"""The overview counts what every served regime came to, and lists what was decided last."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cds_adapters.storage.records import AuditRecord
from cds_adapters.storage.shelf import Shelf
from cds_adapters.web.words import OUTCOMES, spoken
from cds_engine.bundle.describe import aim_words
from cds_engine.bundle.model import RuleBundle
from cds_engine.criteria.words import criterion_words


class Counter(Protocol):
    """The one thing that the overview asks the audit store."""

    def outcome_counts(self, regime: str, version: str, /) -> Mapping[str, int]:
        """Return outcome -> how often it was the answer."""


@dataclass(frozen=True, slots=True)
class CountRow:
    """How often an outcome occurred; ``width`` of 100 is the length of its bar."""

    outcome: str
    name: str
    count: int
    percent: str
    width: int


@dataclass(frozen=True, slots=True)
class RegimeRow:
    """One regime: the version that is served, and the older ones with their numbers of calls."""

    bundle: RuleBundle
    aim: str
    population: str
    services: tuple[tuple[str, str], ...]
    counts: tuple[CountRow, ...]
    total: int
    older: tuple[tuple[RuleBundle, int], ...]


@dataclass(frozen=True, slots=True)
class RecentRow:
    """One recent call; label and title are in words where the bundle is still on the shelf."""

    record: AuditRecord
    title: str
    stage: str
    action: str


def overview(shelf: Shelf, counter: Counter, hooks: Sequence[str]) -> tuple[RegimeRow, ...]:
    """Return a row for every regime on the shelf."""
    return tuple(_regime(versions, counter, hooks) for versions in shelf.regimes().values())


def recent_rows(shelf: Shelf, records: Sequence[AuditRecord]) -> tuple[RecentRow, ...]:
    """Return the calls with the words of the bundles that answered them."""
    return tuple(_recent(shelf.by_digest(record.digest), record) for record in records)


def _regime(versions: tuple[RuleBundle, ...], counter: Counter, hooks: Sequence[str]) -> RegimeRow:
    served, older = versions[-1], versions[-2::-1]
    shown = spoken(served)
    counts = tuple(_counts(counter.outcome_counts(served.regime, served.version)))
    return RegimeRow(
        bundle=served,
        aim=aim_words(shown),
        population=criterion_words(shown.population, shown.kinds),
        services=tuple((hook, f"{served.regime}-{hook}") for hook in hooks),
        counts=counts,
        total=sum(row.count for row in counts),
        older=tuple(
            (bundle, sum(counter.outcome_counts(bundle.regime, bundle.version).values()))
            for bundle in older
        ),
    )


def _counts(found: Mapping[str, int]) -> Iterator[CountRow]:
    total = sum(found.values())
    for outcome in (*OUTCOMES, *sorted(set(found) - set(OUTCOMES))):
        count = found.get(outcome, 0)
        share = count / total if total else 0.0
        yield CountRow(
            outcome, OUTCOMES.get(outcome, outcome), count, f"{share:.0%}", round(200 * share)
        )


def _recent(bundle: RuleBundle | None, record: AuditRecord) -> RecentRow:
    stage, action = record.stage or "", record.action or ""
    if bundle is None:
        return RecentRow(record, record.regime, stage, action)
    stage = next((s.title for s in bundle.stages if s.name == stage), stage)
    if action in bundle.actions:
        action = bundle.actions[action].label
    return RecentRow(record, bundle.document.title, stage, action)
