"""The decision points of a replay, with what each version said of them in one word."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cds_engine.bundle.model import RuleBundle
from cds_engine.estimate.columns import Bools
from cds_engine.estimate.untold import CUT, cut_short
from cds_engine.replay.at_once.rows import later_all
from cds_engine.replay.settings import ReplayError
from cds_engine.vocabulary.time import Duration, Instant, instant, parse_duration

if TYPE_CHECKING:
    import pandas as pd

ADVICE = ("recommendation", "equipoise", "no_change")
"""The outcomes in which a version says what to do."""
FIRING = ("recommendation", "equipoise")
"""The outcomes in which a card is shown."""
INPUTS = (
    "missing", "stale", "out-of-range", "unit-unknown", "conflicting-data", "incomplete",
    "unresolved",
)  # fmt: skip
"""The codes of abstentions for the lack of a usable input."""
KNOWN_ACTION = ("seen", "unchanged")
_NEEDED = ("key.patient", "key.encounter", "key.as_of", "decision.outcome", "decision.stage",
           "decision.action", "decision.candidates", "decision.code", "decision.reasons",
           "taken.action", "taken.state", "outcome.value", "outcome.state")  # fmt: skip
_AGAINST = ("against.outcome", "against.action", "against.stage", "against.candidates",
            "against.code", "against.reasons")  # fmt: skip
_SAID = ("outcome", "action", "stage", "candidates", "code", "reasons")
_AGAINST_TAKEN = ("against.taken.action", "against.taken.state")
_IF_THERE = ("person.sex",)
LISTS = ("decision.candidates", "decision.reasons", "against.candidates", "against.reasons")
"""Columns of which each value is a sequence of texts; in all that are read."""


def stage_titles(bundle: RuleBundle) -> dict[str, str]:
    """Return what a person calls the stages, by their names; two of one title are told apart."""
    titles = {stage.name: stage.title or stage.name for stage in bundle.stages}
    shared = [title for title, n in Counter(titles.values()).items() if n > 1]
    return {name: f"{title} ({name})" if title in shared else title
            for name, title in titles.items()}  # fmt: skip


def columns_of(bundle: RuleBundle, against: RuleBundle | None, held: Sequence[str]) -> list[str]:
    """Return which of the columns that a table has the figures read, so that no more be loaded.

    Args:
        bundle: the version that was replayed.
        against: the version beside it, if any.
        held: the table's columns.
    """
    wanted = {*_NEEDED, *_IF_THERE, *bundle.variables, *(f"{name}.state" for name in
                                                         bundle.variables)}  # fmt: skip
    if against is not None:
        wanted |= {*_AGAINST, *_AGAINST_TAKEN}
    return [name for name in held if name in wanted]


@dataclass(frozen=True, slots=True)
class Ends:
    """Where windows for an action end, and where the records do.

    Attributes:
        window: how long after a decision an action counts as the one taken.
        until: when the records end.
    """

    window: Duration
    until: Instant

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Ends | None":
        """Return what the settings of a run say, as its manifest has them; None where they do not.

        >>> Ends.of({"window": "P30D", "data_until": None}) is None
        True
        """
        window, until = settings.get("window"), settings.get("data_until")
        if window is None or until is None:
            return None
        return cls(parse_duration(window), instant(datetime.fromisoformat(until)))

    def cut(self, as_of: "pd.Series[pd.Timestamp]") -> Bools:
        """Return the decisions whose window is not over when the records end."""
        at = np.asarray(as_of.dt.as_unit("us").astype("int64"), dtype=np.int64)
        return np.asarray(later_all(at, self.window) > self.until)


@dataclass(frozen=True)
class DecisionPoints:
    """The decision-point table and the versions that it was made with.

    Attributes:
        frame: one row a decision, in order of patient, time and encounter.
        bundle: the version that was replayed.
        against: the version beside it, if any.
        cut: the rows whose window for an action is not over when the records end; where None, the
            first row whose action is ``pending`` tells from when on that is so.
    """

    frame: "pd.DataFrame"
    bundle: RuleBundle
    against: RuleBundle | None = None
    cut: Bools | None = None

    @classmethod
    def of(
        cls, frame: "pd.DataFrame", bundle: RuleBundle, against: RuleBundle | None = None,
        ends: Ends | None = None,
    ) -> "DecisionPoints":  # fmt: skip
        """Return the points of a table as ``replay_shard`` makes it.

        Args:
            frame: the table.
            bundle: the version that was replayed.
            against: the version beside it, if any.
            ends: where windows and records end, if it is known.

        Raises:
            ReplayError: if it is no such table, or was made with other versions.
        """
        needed = [*_NEEDED, *bundle.variables]
        if against is not None:
            needed += _AGAINST
        if lacking := [name for name in needed if name not in frame]:
            raise ReplayError(
                f"the decision-point table has no column {lacking[0]}; it was made by another "
                "version of the rule bundle or of cds-engine, so replay again"
            )
        ordered = frame.sort_values(["key.patient", "key.as_of", "key.encounter"], kind="stable")
        cut = None if ends is None else ends.cut(ordered["key.as_of"])
        return cls(ordered.reset_index(drop=True), bundle, against, cut)

    @cached_property
    def second(self) -> "DecisionPoints":
        """The same points as the second version decided them, with its own catalogue's actions.

        Raises:
            ReplayError: if there is no second version.
        """
        if self.against is None:
            raise ReplayError("there is no second version to look at; replay with --against")
        own = {f"decision.{what}" for what in _SAID} & set(self.frame)
        taken = _AGAINST_TAKEN if set(_AGAINST_TAKEN) <= set(self.frame) else ()
        own |= {name.removeprefix("against.") for name in taken}
        renamed = {f"against.{what}": f"decision.{what}" for what in _SAID}
        renamed |= {name: name.removeprefix("against.") for name in taken}
        return DecisionPoints(self.frame.drop(columns=list(own)).rename(columns=renamed),
                              self.against, cut=~self.ripe)  # fmt: skip

    def __len__(self) -> int:
        """Return how many decision points there are."""
        return len(self.frame)

    @cached_property
    def stage(self) -> "pd.Series[str]":
        """The stage of each decision, empty where there is none."""
        return self.frame["decision.stage"].astype(object).where(
            self.frame["decision.stage"].notna(), "")  # fmt: skip

    @cached_property
    def eligible(self) -> Bools:
        """Whose decision is at a stage: in the population, and at one point of the regime."""
        return (self.stage != "").to_numpy(dtype=np.bool_)

    @cached_property
    def choice(self) -> Bools:
        """Whose decision is at a stage that offers more than one action."""
        names = [stage.name for stage in self.bundle.stages if len(stage.choose) > 1]
        return self.stage.isin(names).to_numpy(dtype=np.bool_)

    @cached_property
    def complete(self) -> Bools:
        """Who is eligible and lacks no input that the rule would have needed."""
        lacking = self.frame["decision.code"].isin(INPUTS).to_numpy(dtype=np.bool_)
        return np.asarray(self.eligible & ~lacking)

    @cached_property
    def advised(self) -> Bools:
        """Who was told what to do, be it to change nothing."""
        told = self.frame["decision.outcome"].isin(ADVICE).to_numpy(dtype=np.bool_)
        return np.asarray(self.eligible & told)

    @cached_property
    def ripe(self) -> Bools:
        """Whose window for an action was over when the records ended.

        Before that only what was done at once is on record, so that it is the action itself that
        says whether it is known.
        """
        state = self.frame["taken.state"]
        cut = cut_short(self.frame["key.as_of"], state) if self.cut is None else self.cut
        return np.asarray(~cut & (state != CUT).to_numpy(dtype=np.bool_))

    @cached_property
    def action_known(self) -> Bools:
        """Whose window is over, and the records show one action, or that nothing was changed."""
        shown = self.frame["taken.state"].isin(KNOWN_ACTION).to_numpy(dtype=np.bool_)
        return np.asarray(self.ripe & shown)

    @cached_property
    def concordant(self) -> Bools:
        """Whose action was the advised one, or one of those that were equally good."""
        taken, among = self.frame["taken.action"], self.frame["decision.candidates"]
        same = [one in set(names) for one, names in zip(taken, among, strict=True)]
        return np.asarray(self.advised & self.action_known & np.array(same, dtype=np.bool_))

    def patients(self, rows: Bools) -> int:
        """Return how many patients some rows are of."""
        return int(self.frame.loc[rows, "key.patient"].nunique())

    def counted(self, rows: Bools) -> dict[str, int]:
        """Return how many decisions and patients some rows are."""
        return {"decisions": int(rows.sum()), "patients": self.patients(rows)}

    def stage_title(self, name: str) -> str:
        """Return a stage as a person calls it."""
        return stage_titles(self.bundle).get(name, name)

    def in_titles(self, fault: Exception) -> str:
        """Return what an estimator said, which knows stages by their names alone."""
        names = "|".join(re.escape(stage.name) for stage in self.bundle.stages)
        return re.sub(rf"\bstage ({names})\b",
                      lambda found: f"stage {self.stage_title(found[1])}", str(fault))  # fmt: skip

    def label(self, action: str | None) -> str:
        """Return an action in words."""
        known = {**({} if self.against is None else self.against.actions), **self.bundle.actions}
        return known[action].label if action is not None and action in known else str(action)
