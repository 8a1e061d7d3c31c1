"""A finished replay is answered anew only by the versions and the code that made it, and whole."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cds_engine
from cds_adapters.bulk.parquet import digest_of_file
from cds_adapters.bulk.place import ANSWERS, MANIFEST
from cds_adapters.bulk.sources import BulkError
from cds_engine.bundle.model import RuleBundle

READ = ("decisions.parquet", "vocabulary.json")
"""What the answers are made of, beside the manifest."""


def finished_manifest(out: Path, rules: Sequence[RuleBundle]) -> dict[str, Any]:
    """Return the manifest of a finished replay, whose files are as it says.

    Args:
        out: the folder of the replay.
        rules: the version that was replayed and the one beside it, if any.

    Raises:
        BulkError: if there is no finished replay, or it is of other versions, was made by another
            cds-engine, or is no longer as it was written.
    """
    held = _read(out)
    try:
        bundles = [(f"{one['regime']}@{one['version']}", one["digest"]) for one in held["bundles"]]
        engine = f"{held['cds_engine']} (semantics {held['semantics']})"
        digests = {name: held["outputs"][name] for name in READ}
        digests |= {name: one for name, one in held["outputs"].items() if name not in ANSWERS}
    except (KeyError, TypeError):
        raise _none_of_a_replay(out) from None
    _refuse_other_versions(out, bundles, rules)
    own = f"{cds_engine.__version__} (semantics {cds_engine.SEMANTICS_VERSION})"
    if engine != own:
        raise BulkError(
            f"{out} was made by cds-engine {engine}, and this is {own}: its manifest would name "
            "one for what the other computed; replay again"
        )
    _refuse_changed(out, digests)
    return held


def _read(out: Path) -> dict[str, Any]:
    try:
        held = json.loads((out / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise BulkError(
            f"{out} holds no finished replay, as there is no {MANIFEST}; name the folder that a "
            "replay wrote, or give the same replay again if it was not finished"
        ) from None
    except OSError as fault:
        raise BulkError(
            f"{out / MANIFEST} cannot be read ({fault.strerror}); name the folder that a replay "
            "wrote"
        ) from fault
    except ValueError:
        raise _none_of_a_replay(out) from None
    if not isinstance(held, dict):
        raise _none_of_a_replay(out)
    return held


def _none_of_a_replay(out: Path) -> BulkError:
    return BulkError(f"{out / MANIFEST} is none of a replay; name the folder that a replay wrote")


def _refuse_other_versions(
    out: Path, held: Sequence[tuple[str, str]], rules: Sequence[RuleBundle]
) -> None:
    if len(rules) > len(held):
        raise BulkError(
            f"{out} is a replay of one version, so that nothing is known of what --against would "
            "have advised; leave it out, or replay with it"
        )
    if len(rules) < len(held):
        raise BulkError(
            f"{out} is a replay of two versions; name the second one, {_words(*held[1])}, with "
            "--against"
        )
    for option, one, (name, digest) in zip(("--bundle", "--against"), rules, held, strict=False):
        if one.digest != digest:
            raise BulkError(
                f"{out} is a replay of {_words(name, digest)}, and {option} is "
                f"{_words(one.identity, one.digest)}; name the version that was replayed, or "
                "replay this one"
            )


def _words(identity: str, digest: str) -> str:
    return f"{identity} with the digest {digest}"


def _refuse_changed(out: Path, digests: Mapping[str, str]) -> None:
    for name, told in digests.items():
        path = out / name
        if not path.exists():
            raise BulkError(f"{path} is not there, though the manifest names it; replay again")
        if f"sha256:{digest_of_file(path)}" != told:
            raise BulkError(
                f"{path} is not what the replay wrote, as its digest differs from the manifest's; "
                "replay again"
            )
