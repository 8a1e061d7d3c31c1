"""Whether any CDS Hooks service keeps to the specification, seen from a client, line by line."""

from cds_adapters.cds_hooks.conformance.check import check_service
from cds_adapters.cds_hooks.conformance.report import Finding, Verdict

__all__ = ["Finding", "Verdict", "check_service"]
