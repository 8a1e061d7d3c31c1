"""Rule bundles on the command line: check, test, show and diff."""

from pathlib import Path

from cds_adapters.cli.output import FINDINGS, FINE, complain, print_json, say, table
from cds_adapters.clock import system_clock
from cds_adapters.storage.shelf import Shelf, ShelfError, read_bundle_folder, shipped_rules
from cds_engine.bundle.describe import describe
from cds_engine.bundle.difference import difference
from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.overlap import overlapping_stages
from cds_engine.decide.cases import branches_without_case, run_cases
from cds_engine.errors import DocumentError
from cds_engine.estimate.near_names import did_you_mean


def find_bundle(address: str, rules: Path | None) -> RuleBundle:
    """Return the bundle of a path, of ``regime@version`` or of a regime's name."""
    if Path(address).exists():
        return read_bundle_folder(Path(address))
    shelf = Shelf(rules or shipped_rules())
    regime, known = address.partition("@")[0], shelf.regimes()
    if regime not in known:
        raise ShelfError(
            f"there is no folder {address}, and no regime {regime!r} in {shelf.directory}, which "
            f"has {', '.join(known)}; name one of them, or the folder that holds bundle.yaml"
            f"{did_you_mean(regime, known)}"
        )
    return shelf.find(address)


def folder_of(bundle: RuleBundle, address: str, rules: Path | None) -> Path:
    """Return the folder of a bundle that was found at an address."""
    path = Path(address)
    if path.exists():
        return path if path.is_dir() else path.parent
    return (rules or shipped_rules()) / bundle.regime / bundle.version


def check(address: str, rules: Path | None, *, as_json: bool) -> int:
    """Print the faults and notes of a bundle."""
    try:
        bundle = find_bundle(address, rules)
    except DocumentError as error:
        if as_json:
            faults = [{"place": f.place, "problem": f.problem} for f in error.faults]
            print_json({"fine": False, "faults": faults})
        else:
            complain(str(error))
        return FINDINGS
    notes = [*bundle.notes, *overlapping_stages(bundle)]
    if as_json:
        print_json({"fine": True, "bundle": bundle.identity, "digest": bundle.digest,
                    "notes": notes})  # fmt: skip
        return FINE
    say(f"{bundle.identity} is fine; digest {bundle.digest}")
    for note in notes:
        say(f"  note: {note}")
    return FINE


def test(address: str, rules: Path | None, *, as_json: bool) -> int:
    """Run the cases; findings are cases that came out otherwise, and branches without a case."""
    bundle = find_bundle(address, rules)
    results = run_cases(bundle, system_clock())
    wrong = [result for result in results if result.differences]
    untested = branches_without_case(bundle, results)
    if as_json:
        print_json({
            "bundle": bundle.identity, "cases": len(results), "wrong": len(wrong),
            "differences": {r.case.case: list(r.differences) for r in wrong},
            "branches_without_case": list(untested),
        })  # fmt: skip
        return FINDINGS if wrong or untested or not results else FINE
    for result in wrong:
        say(f"WRONG  {result.case.case}")
        for line in result.differences:
            say(f"       {line}")
    for place in untested:
        say(f"NO CASE reaches {place}")
    say(f"{bundle.identity}: {len(results) - len(wrong)} of {len(results)} cases as expected")
    if not results:
        complain(f"{bundle.identity} has no cases; write them in cases.yaml")
    return FINDINGS if wrong or untested or not results else FINE


def show(address: str, rules: Path | None, *, as_json: bool) -> int:
    """Print a bundle in words."""
    import dataclasses

    bundle = find_bundle(address, rules)
    described = describe(bundle)
    if as_json:
        print_json({"bundle": bundle.identity, "digest": bundle.digest,
                    **dataclasses.asdict(described)})  # fmt: skip
        return FINE
    from cds_adapters.cli.words import print_description

    print_description(bundle, described, address)
    return FINE


def diff(old: str, new: str, rules: Path | None, *, as_json: bool) -> int:
    """Print what changed; any change is a finding."""
    import dataclasses

    before, after = find_bundle(old, rules), find_bundle(new, rules)
    changes = difference(before, after)
    same = before.identity == after.identity and before.digest != after.digest
    if as_json:
        print_json({"old": before.identity, "new": after.identity,
                    "same_version_other_content": same,
                    "changes": [dataclasses.asdict(change) for change in changes]})  # fmt: skip
    elif not changes:
        say(f"{before.identity} and {after.identity} say the same")
    else:
        rows = [[str(value) for value in dataclasses.astuple(change)] for change in changes]
        columns = [field.name for field in dataclasses.fields(changes[0])]
        table(f"{before.identity} -> {after.identity}", columns, rows)
    if same and not as_json:
        say(
            f"Both call themselves {before.identity}, but their files differ "
            f"({before.digest} and {after.digest}); a version is released once, so raise the "
            "version of the newer one"
        )
    return FINDINGS if changes or same else FINE
