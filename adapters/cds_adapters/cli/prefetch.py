"""``prefetch``: the searches that an EHR runs ahead, computed from a bundle's variables."""

from pathlib import Path

from cds_adapters.cds_hooks.prefetch import prefetch_queries
from cds_adapters.cli.bundles import find_bundle
from cds_adapters.cli.output import FINE, print_json, table
from cds_adapters.cli.patients import site_map
from cds_adapters.site import read_site


def run(address: str, rules: Path | None, settings: Path | None, *, as_json: bool) -> int:
    """Print key and template of every search."""
    site = read_site(settings, {"rules": rules})
    bundle = find_bundle(address, site.rules)
    queries = prefetch_queries(bundle, site_map(site))
    if as_json:
        print_json({query.key: query.template for query in queries})
    else:
        rows = [[q.key, q.template, ", ".join(q.variables)] for q in queries]
        table(f"Prefetch of {bundle.identity}", ["key", "template", "feeds"], rows)
    return FINE
