"""What holds for every test: no clock judges a property, and no bundle is read twice."""

import os
from collections.abc import Iterator, Mapping
from functools import cache

import pytest
from hypothesis import HealthCheck, settings

from cds_adapters.storage import shelf
from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle

# Two workers share two cores: threads of the numerics would only wait for one another.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session", autouse=True)
def each_bundle_is_read_once() -> Iterator[None]:
    """Keep what was read under its exact bytes: a rule bundle never changes, and YAML is slow."""

    @cache
    def once(files: frozenset[tuple[str, bytes]], cases_later: bool) -> RuleBundle:
        return read_bundle(dict(files), cases_later=cases_later)

    def read(files: Mapping[str, bytes], *, cases_later: bool = False) -> RuleBundle:
        return once(frozenset(files.items()), cases_later)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shelf, "read_bundle", read)
        yield
