"""``audit``: one record in full, or the whole chain verified and every decision made again."""

import json
from pathlib import Path
from typing import Any

from cds_adapters.cli.output import CANNOT_READ, FINDINGS, FINE, complain, print_json, say, table
from cds_adapters.site import read_site
from cds_adapters.storage.database import open_database
from cds_adapters.storage.reader import AuditReader
from cds_adapters.storage.records import AuditRecord
from cds_adapters.storage.shelf import Shelf, shipped_rules
from cds_adapters.storage.verify import reevaluate as make_again
from cds_adapters.storage.verify import verify as verify_chain
from cds_engine.vocabulary.time import iso


def show(decision: str, settings: Path | None, given: dict[str, Any], *, as_json: bool) -> int:
    """Print one record; 3 if there is none of that id."""
    site = read_site(settings, given)
    record = AuditReader(open_database(site.database, create=False)).get(decision)
    if record is None:
        complain(f"no decision {decision} in this database; check the id and --database")
        return CANNOT_READ
    if as_json:
        print_json(_plain(record))
    else:
        _print(record)
    return FINE


def verify(settings: Path | None, given: dict[str, Any], *, reevaluate: bool, as_json: bool) -> int:
    """Verify the chain; on request make every decision again."""
    import dataclasses

    site = read_site(settings, given)
    store = AuditReader(open_database(site.database, create=False))
    chain = verify_chain(store)
    shelf = Shelf(site.rules or shipped_rules())
    again = make_again(store, shelf.by_digest) if reevaluate else None
    fine = chain.sound and (again is None or again.complete)
    if as_json:
        print_json({"ok": fine, "chain": dataclasses.asdict(chain),
                    "reevaluation": dataclasses.asdict(again) if again else None})  # fmt: skip
    else:
        say(str(chain))
        if again:
            say(str(again))
    return FINE if fine else FINDINGS


def _plain(record: AuditRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "at": iso(record.at),
        "as_of": iso(record.as_of),
        "frozen": record.frozen,
        "source": record.source,
        "hook": record.hook,
        "service": record.service,
        "status": record.status,
        "outcome": record.outcome,
        "bundle": {"regime": record.regime, "version": record.version, "digest": record.digest},
        "engine": record.engine,
        "semantics": record.semantics,
        "duration_us": record.duration,
        "cards": [{"uuid": c.uuid, "suggestions": list(c.suggestions)} for c in record.cards],
        "error": record.error or None,
        "history": json.loads(record.history) if record.history else None,
        "decision": json.loads(record.decision) if record.decision else None,
    }


def _print(record: AuditRecord) -> None:
    plain = _plain(record)
    history, decision = plain.pop("history"), plain.pop("decision")
    table("", ["field", "value"], [[k, str(v)] for k, v in plain.items() if v not in (None, [])])
    if decision:
        path = [[role, place, str(verdict)] for role, place, verdict in decision["path"]]
        table("Path", ["asked for", "place", "verdict"], path)
    if history:
        rows = [
            [name, str(found.get("value", f"missing: {found.get('missing')}")),
             ", ".join(source for source, *_ in found["readings"])]
            for name, found in history["findings"].items()
        ]  # fmt: skip
        table("Known then", ["variable", "value", "sources"], rows)
