"""What an option names is there, or the command ends before it reads any data."""

from collections.abc import Iterator, Mapping, Sequence

from cds_adapters.fhir.r4_types import UNUSED_TYPES
from cds_adapters.fhir.resources import USED_TYPES
from cds_engine.bundle.model import RuleBundle
from cds_engine.errors import CDSError
from cds_engine.estimate.near_names import did_you_mean
from cds_engine.vocabulary.code import code_fault

BY, ADJUST_FOR = "--by", "--adjust-for"


class UsageError(CDSError):
    """Options that mean nothing, or contradict each other; the command ends with 2."""


def check_named(
    bundle: RuleBundle,
    variables: Mapping[str, Sequence[str]],
    types: Sequence[str],
    codes: Mapping[str, Sequence[str]],
) -> None:
    """Check every name that was given to an option.

    Args:
        bundle: the version that is replayed; its variables can be named.
        variables: option -> the variables that it was given.
        types: the types of resources that ``--complete`` was given.
        codes: option -> the codes that it was given.

    Raises:
        UsageError: naming every name that stands for nothing, and the nearest that is there.
    """
    faults = [*_variables(bundle, variables), *_types(types), *_codes(codes)]
    if faults:
        raise UsageError("\n".join(faults))


def _variables(bundle: RuleBundle, given: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for option, names in given.items():
        for name in names:
            if name not in bundle.variables:
                near = did_you_mean(name, bundle.variables)
                cure = near or f"; {bundle.identity} has {', '.join(bundle.variables)}"
                yield f"{option}: no variable `{name}`{cure}"
            elif option == ADJUST_FOR and name not in bundle.base_variables:
                yield (
                    f"{option}: `{name}` is derived, and only what is read from records is "
                    f"adjusted for; name what it is made of, {bundle.variables[name].derive}"
                )


def _types(given: Sequence[str]) -> Iterator[str]:
    known = (*USED_TYPES, *UNUSED_TYPES)
    for name in given:
        if name not in known:
            cure = did_you_mean(name, known) or "; write it as Observation or Procedure"
            yield f"--complete: FHIR R4 has no resource type `{name}`{cure}"


def _codes(given: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for option, codes in given.items():
        for code in codes:
            # `|code` is a local code that records give without a system
            if not (code.startswith("|") and code[1:]) and (problem := code_fault(code)):
                yield f"{option}: {problem}"
