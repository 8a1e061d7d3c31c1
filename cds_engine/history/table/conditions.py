"""Conditions and allergies of all decision points at once: present, ever, or since when."""

import numpy as np

from cds_engine.history.elapsed import CREDIBLE
from cds_engine.history.extract import KINDS
from cds_engine.history.table.answer import Answer
from cds_engine.history.table.calendar import completed
from cds_engine.history.table.columns import NEVER, Bools, Longs
from cds_engine.history.table.cover import First, Firsts, holds
from cds_engine.history.table.shard import Found, Shard
from cds_engine.vocabulary.variable import Variable

NOT_AT_ALL = -NEVER
"""The end of a spell that never was."""


def listed(shard: Shard, variable: Variable) -> Answer:
    """Return a condition or allergy variable, as ``history.conditions.listed`` does for one.

    An entry without a code is wanted, since it may be what is looked for, but never sure.
    """
    found = shard.occurred(KINDS[variable.source or ""], variable.codes, uncoded=True)
    match variable.aggregate:
        case "elapsed":
            return _elapsed(shard, variable, found)
        case "ever":
            sure_until = wanted_until = np.full(len(found.at), NEVER, dtype=np.int64)
        case _:
            sure_until, wanted_until = _present(found)
    sure_until = np.where(found.doubt | ~found.coded, NOT_AT_ALL, sure_until)
    sure = holds(shard.clock, shard.rows, found.person, found.known, sure_until)
    wanted = holds(shard.clock, shard.rows, found.person, found.recorded, wanted_until)
    answer = yes_or_not(variable, sure, wanted)
    answer.doubt |= found.untidy().doubt(shard.rows)
    return answer


def yes_or_not(variable: Variable, sure: Bools, wanted: Bools) -> Answer:
    """Return True where something is sure, else unresolved where something is there at all."""
    answer = Answer(sure.copy())
    answer.lack(wanted & ~sure, "unresolved")
    if variable.absent is not False:
        answer.lack(~wanted & ~sure, "absent")
    return answer


def _present(found: Found) -> tuple[Longs, Longs]:
    """Return until when each surely holds, and until when it is not plainly over."""
    backwards = found.has_end & (found.until_end < found.start)
    over = np.where(found.has_end, found.until_end, NOT_AT_ALL)
    wanted = np.where(found.ended & ~backwards, over, NEVER)
    clear = np.where(backwards, NOT_AT_ALL, found.until_start)
    return np.minimum(wanted, clear), wanted


def _elapsed(shard: Shard, variable: Variable, found: Found) -> Answer:
    """Return the time since the first; one that may be over is left to the scalar history."""
    rows = shard.rows
    untidy = found.untidy()
    over = found.coded & (found.ended | found.has_end)
    untidy.ask(found.person[over], found.recorded[over])
    sure = found.but(found.coded & ~over & ~found.doubt)
    times = (sure.start, sure.end)
    first = Firsts(shard.clock, sure.person, sure.known, times, sure.vague, sure.daily).at(rows)
    answer = since(variable.unit or "a", first, rows.as_of)
    _, wanted_until = _present(found)
    wanted = holds(shard.clock, rows, found.person, found.recorded, wanted_until)
    answer.lack(wanted & ~first.some, "unresolved")
    answer.lack(~first.some, "absent")
    answer.doubt |= untidy.doubt(rows)
    return answer


def since(unit: str, first: First, as_of: Longs) -> Answer:
    """Return the completed units since what was first; says nothing where there is nothing."""
    start = np.where(first.some, first.start, as_of)
    answer = Answer(completed(unit, start, as_of).astype(np.float64))
    answer.doubt = first.vague | (first.some & (start < CREDIBLE))
    if unit == "h":
        answer.doubt |= first.daily
    return answer
