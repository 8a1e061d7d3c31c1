"""Audit records with good defaults, and records of decisions that were really made."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine

from cds_adapters.storage.audit import AuditStore
from cds_adapters.storage.database import open_database
from cds_adapters.storage.migrate import migrate
from cds_adapters.storage.records import AuditRecord, CardReceipt, Feedback
from cds_engine import SEMANTICS_VERSION
from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle
from cds_engine.decide.cases import given_history
from cds_engine.decide.decide import decide
from cds_engine.decide.record import canonical, decision_to_plain, history_to_plain

NOON = 1_767_268_800_000_000  # 2026-01-01T12:00:00Z

RULES = b"""
regime: pressure-demo
version: 1.0.0
title: Pressure, for tests of the audit
aim: {outcome: sbp, at: P9M, unit: "mm[Hg]", better: lower}
population: age >= 18
variables:
  age: {from: patient.age, unit: a}
  sbp: {from: observation, codes: [loinc|8480-6], unit: "mm[Hg]", within: P30D, digits: 0}
actions:
  lifestyle:
    label: Advise diet and exercise
    order: {resource: ServiceRequest, code: snomed|443402002}
    seen_as: [snomed|443402002]
  monitor: {label: Continue and measure again, change: false}
stages:
  - stage: baseline
    when: age >= 18
    choose: [lifestyle, monitor]
    rule:
      - {when: sbp >= 130, then: lifestyle, because: "the pressure is high"}
      - {otherwise: monitor}
"""


def a_bundle(rules: bytes = RULES) -> RuleBundle:
    return read_bundle({"bundle.yaml": rules})


def a_record(**changes: Any) -> AuditRecord:
    """Return a record with an id of its own; its history and decision are only shaped like ones."""
    plain = AuditRecord(
        id=str(uuid4()),
        at=NOON,
        as_of=NOON,
        source="cds-hooks",
        outcome="recommendation",
        status=200,
        regime="pressure-demo",
        version="1.0.0",
        digest="d" * 64,
        semantics=SEMANTICS_VERSION,
        engine="0.1.0",
        stage="baseline",
        action="lifestyle",
        hook="patient-view",
        hook_instance=str(uuid4()),
        service="pressure-demo-patient-view",
        history=b'{"as_of":1767268800000000}',
        decision=b'{"outcome":"recommendation"}',
        cards=(CardReceipt(str(uuid4()), (str(uuid4()),)),),
        duration=1_500,
    )
    return replace(plain, **changes)


def a_decided_record(bundle: RuleBundle, **given: object) -> AuditRecord:
    """Return the record of a decision that the rule bundle really makes for some values."""
    history = given_history(bundle, given, NOON)
    decision = decide(bundle, history)
    return a_record(
        regime=bundle.regime,
        version=bundle.version,
        digest=bundle.digest,
        outcome=decision.outcome,
        stage=decision.stage,
        action=decision.action,
        reasons=tuple(reason.code for reason in decision.reasons),
        history=canonical(history_to_plain(history)),
        decision=canonical(decision_to_plain(decision)),
    )


def an_item(card: str, **changes: Any) -> Feedback:
    """Return a feedback item that accepts a card."""
    item = Feedback("pressure-demo-patient-view", card, "accepted", NOON, accepted=("s",))
    return replace(item, **changes)


@contextmanager
def open_store(url: str, **settings: Any) -> Iterator[AuditStore]:
    """Open a database with its tables made, and the audit in it."""
    engine = open_database(url)
    try:
        migrate(engine)
        with AuditStore(engine, **settings) as store:
            yield store
    finally:
        engine.dispose()


def change(engine: Engine, *statements: str) -> None:
    """Do to the database what only its administrator could."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("BEGIN")
        else:
            connection.exec_driver_sql("SET session_replication_role = replica")
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.commit()
        connection.invalidate()
