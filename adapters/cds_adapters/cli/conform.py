"""``conformance``: a running CDS Hooks service probed against the specification, line by line."""

import httpx

from cds_adapters.cds_hooks.conformance import check_service
from cds_adapters.cli.output import FINDINGS, FINE, print_json, say, table


def run(url: str, *, as_json: bool) -> int:
    """Probe and print; a violated line is a finding."""
    import dataclasses

    with httpx.Client(timeout=15, trust_env=False) as client:
        findings = check_service(url.rstrip("/"), client)
    violated = [finding for finding in findings if finding.verdict == "violated"]
    if as_json:
        print_json({"url": url, "violated": len(violated),
                    "findings": [dataclasses.asdict(finding) for finding in findings]})  # fmt: skip
    else:
        rows = [[str(f.line), f.verdict, f.what, f.found] for f in findings]
        table(f"CDS Hooks at {url}", ["line", "verdict", "requirement", "found"], rows)
        warned = sum(finding.verdict == "warning" for finding in findings)
        warnings = f", {warned} with a warning" if warned else ""
        say(f"{len(violated)} of {len(findings)} lines violated{warnings}")
    return FINDINGS if violated else FINE
