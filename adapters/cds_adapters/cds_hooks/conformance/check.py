"""The checks run from outside to inside: discovery, templates, calls, cards, feedback."""

from typing import Any

import httpx

from cds_adapters.cds_hooks.conformance.calls import check_calls
from cds_adapters.cds_hooks.conformance.discovery import check_discovery
from cds_adapters.cds_hooks.conformance.feedback import check_feedback
from cds_adapters.cds_hooks.conformance.report import Finding, Report
from cds_adapters.cds_hooks.conformance.templates import check_templates


def check_service(base_url: str, client: httpx.Client) -> list[Finding]:
    """Probe a running service and return what was found, one finding per requirement.

    Calls are made for a patient who does not exist and of whom every search found nothing.
    Feedback is posted for a card that was never sent. Nothing else is left behind.

    Args:
        base_url: what stands before ``/cds-services``.
        client: makes the calls; its timeout and certificates are those of the caller.
    """
    report = Report()
    url = f"{base_url.rstrip('/')}/cds-services"
    try:
        services = check_discovery(report, url, client)
        for service in services:
            check_templates(report, service)
        usable = [service for service in services if _can_be_called(service)]
        for service in usable:
            check_calls(report, url, client, service)
        for service in usable[:1]:
            check_feedback(report, f"{url}/{service['id']}/feedback", client)
    except httpx.HTTPError as error:
        report.check(9, "the service answers", [f"{url}: {type(error).__name__}: {error}"])
    return report.findings()


def _can_be_called(service: dict[str, Any]) -> bool:
    return all(isinstance(service.get(field), str) for field in ("id", "hook"))
