"""A gap says what a record lacks: of which kind, under which code, and from when on.

Its key is ``kind:allergy`` for everything of a kind, ``allergy:rxnorm|314076`` for one code of that
kind, ``code:rxnorm|314076`` for a code of which the kind is not known, ``*`` for everything, or the
name of a variable. Only what reads of that kind and code looks into it.
"""

from collections.abc import Collection, Iterable, Mapping

from cds_engine.history.event import BEGINNING, Record
from cds_engine.vocabulary.time import Instant

EVERYTHING = "*"


def kind_gap(kind: str) -> str:
    """Return the key of a gap in everything of a kind.

    >>> kind_gap("allergy")
    'kind:allergy'
    """
    return f"kind:{kind}"


def code_gap(code: str, kind: str = "code") -> str:
    """Return the key of a gap in what has a code; of any kind, if the kind is not known.

    >>> code_gap("rxnorm|314076", "allergy"), code_gap("rxnorm|314076")
    ('allergy:rxnorm|314076', 'code:rxnorm|314076')
    """
    return f"{kind}:{code}"


def gap_keys(kinds: Iterable[str], codes: Collection[str]) -> tuple[str, ...]:
    """Return every gap that can hide something of one of the kinds under one of the codes."""
    ordered = sorted(kinds)
    coded = (code_gap(code, kind) for kind in (*ordered, "code") for code in codes)
    return (EVERYTHING, *map(kind_gap, ordered), *coded)


def gap_for(gaps: Mapping[str, str], kinds: Iterable[str], codes: Collection[str]) -> str | None:
    """Return why a search for some kinds and codes is known to be incomplete; None if it is not.

    Args:
        gaps: those of a record in the end, ``record.gaps``, or ``gaps_at`` an instant.
        kinds: kinds of events, such as ``COURSE_KINDS``.
        codes: codes of which any would have counted, such as the ``seen_as`` of an action.
    """
    return first_gap(gaps, gap_keys(kinds, codes)) if gaps else None


def first_gap(gaps: Mapping[str, str], keys: Iterable[str]) -> str | None:
    """Return the words of the first of some gaps that there is."""
    return next((gaps[key] for key in keys if key in gaps), None)


def gaps_at(record: Record, as_of: Instant) -> Mapping[str, str]:
    """Return the gaps of a record that hold at ``as_of``, in words of what was known by then."""
    if not record.gap_times:
        return record.gaps
    found = {key: words for key, words in record.gaps.items() if key not in record.gap_times}
    for key, grown in record.gap_times.items():
        words = [gap.words for gap in grown if gap.since <= as_of]
        if words:
            found[key] = words[-1]
    return found


def gap_starts(record: Record) -> dict[str, Instant]:
    """Return gap -> the first instant at which it holds."""
    times = record.gap_times
    return {key: times[key][0].since if key in times else BEGINNING for key in record.gaps}
