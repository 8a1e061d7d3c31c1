"""What a study adjusted for and its rule bundle does not hold, nobody can adjust for again."""

from collections.abc import Iterator, Mapping
from typing import Any

from cds_engine.bundle.model import RuleBundle

_ENTRY = "sequential exchangeability"
_OPENING = "The history that was adjusted for is "


def unheld_confounders(bundle: RuleBundle) -> tuple[str, ...]:
    """Return the names that the study adjusted for and that are no variable of the rule bundle.

    A rule bundle holds what its rule reads. A cause of treatment that the rule does not read is
    left out of it when it is written, so that a replay, which sees the bundle's variables alone,
    compares actions without it. The names are those of the ledger's entry on exchangeability, in
    the evidence that stands in the bundle; a bundle without evidence, or of a trial whose actions
    were randomised, adjusted for nothing that could be lacking.

    Returns:
        The names, sorted, each once.
    """
    adjusted = {name for text in _sentences(bundle.document.evidence or {})
                for name in _names(text)}  # fmt: skip
    return tuple(sorted(adjusted - set(bundle.kinds)))


def _sentences(evidence: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sentences of the ledger that say what was adjusted for; the evidence is free."""
    entries = evidence.get("assumptions")
    for entry in entries if isinstance(entries, (list, tuple)) else ():
        if isinstance(entry, Mapping) and entry.get("assumption") == _ENTRY:
            said = entry.get("evidence")
            told = said if isinstance(said, (list, tuple)) else ()
            yield from (one for one in told if isinstance(one, str) and one.startswith(_OPENING))


def _names(sentence: str) -> Iterator[str]:
    """Yield the names in ``... is first: age, sbp; second: age, step.``."""
    for stage in sentence.removeprefix(_OPENING).removesuffix(".").split("; "):
        _, _, names = stage.partition(": ")
        yield from (name for name in names.split(", ") if name)
