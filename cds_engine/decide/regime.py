"""A regime is a rule bundle at work: a record and an instant go in, a decision comes out."""

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.decide import decide
from cds_engine.decide.decision import Decision
from cds_engine.history.event import Record
from cds_engine.history.extract import HistoryTaker
from cds_engine.history.value import History
from cds_engine.vocabulary.time import Instant


class Regime:
    """One rule bundle, ready for any number of patients; holds nothing of theirs."""

    def __init__(self, bundle: RuleBundle) -> None:
        self.bundle = bundle
        self._taker = HistoryTaker(bundle.base_variables, bundle.actions)

    def history(self, record: Record, as_of: Instant) -> History:
        """Return what was known about the patient at ``as_of``."""
        return self._taker.take(record, as_of)

    def horizons(self, as_of: Instant) -> dict[str, float]:
        """Return code -> the first instant at which a reading of it can count at ``as_of``."""
        return self._taker.horizons(as_of)

    def decide(self, record: Record, as_of: Instant) -> tuple[History, Decision]:
        """Return the history at ``as_of`` and the decision for it."""
        history = self.history(record, as_of)
        return history, decide(self.bundle, history)
