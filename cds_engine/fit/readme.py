"""The README of a fitted bundle: what it is, what it is worth, and every code that it rests on."""

from collections.abc import Iterator, Mapping
from typing import Any

from cds_engine.bundle.model import RuleBundle
from cds_engine.vocabulary.variable import Variable


def readme_of(bundle: RuleBundle, evidence: Mapping[str, Any]) -> bytes:
    """Return ``README.md`` of a fitted rule bundle."""
    return ("\n".join(_lines(bundle, evidence)).rstrip() + "\n").encode()


def _lines(bundle: RuleBundle, evidence: Mapping[str, Any]) -> Iterator[str]:
    document = bundle.document
    yield f"# {document.title}, {bundle.version}"
    yield ""
    yield document.description or ""
    yield ""
    yield "Written by `cds-engine fit` from `study.yaml`, which stands beside it."
    yield ""
    yield "## What it is worth"
    yield ""
    yield f"{evidence['method']['words']} Data: {evidence['data']['what']}."
    yield ""
    yield "| regime | mean outcome | interval | followed by |"
    yield "|---|---|---|---|"
    for row in evidence["values"]:
        low, high = row["interval"]
        yield f"| {row['label']} | {row['estimate']} | {low} to {high} | {row['followers']} |"
    yield ""
    yield "## What it assumes"
    yield ""
    for entry in evidence["assumptions"]:
        yield f"- **{entry['assumption']}** ({entry['judgement']}, not signed yet)."
        yield f"  {entry['statement']}"
    yield ""
    yield "## Codes"
    yield ""
    yield "Taken over from the study; each site compares them with its own records (`vocab check`)."
    yield ""
    yield "| what | codes |"
    yield "|---|---|"
    for label, codes in _codes(bundle):
        yield f"| {label} | {', '.join(f'`{code}`' for code in codes)} |"


def _codes(bundle: RuleBundle) -> Iterator[tuple[str, list[str]]]:
    for name, variable in bundle.variables.items():
        codes = [*variable.codes, *variable.panels, *variable.answers]
        if codes:
            yield _label(name, variable), codes
    for action in bundle.actions.values():
        codes = [*action.seen_as, *([action.order.code] if action.order else [])]
        if codes:
            yield action.label, list(dict.fromkeys(codes))


def _label(name: str, variable: Variable) -> str:
    return variable.label or name
