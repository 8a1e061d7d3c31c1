"""The shelf holds every rule bundle of a directory, each version under its regime's name."""

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle
from cds_engine.errors import CDSError, DocumentError, Fault, RuleBundleError

IGNORED = frozenset({"study.yaml", "manifest.json", "report.html"})


class ShelfError(CDSError):
    """A directory of rule bundles, or an address in it, that cannot be read."""


def read_bundle_folder(folder: Path, *, cases_later: bool = False) -> RuleBundle:
    """Read the rule bundle that a folder holds; its cases at once, or when they are asked for.

    Raises:
        ShelfError: if there is no such folder.
        RuleBundleError: if its files are no rule bundle.
    """
    if folder.is_file() and folder.name == "bundle.yaml":
        folder = folder.parent
    if not folder.is_dir():
        raise ShelfError(f"{folder} is no folder; name the folder that holds bundle.yaml")
    files = {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".") and path.name not in IGNORED
    }
    try:
        return read_bundle(files, cases_later=cases_later)
    except RuleBundleError as error:
        raise RuleBundleError(f"{error.what} in {folder}", error.faults) from error


def shipped_rules() -> Path:
    """Return the directory of the rule bundles that come with the project."""
    installed = Path(str(resources.files("cds_adapters"))) / "shipped_rules"
    checkout = Path(__file__).resolve().parents[3] / "rules"
    return installed if installed.is_dir() else checkout


class Shelf:
    """Every rule bundle of one directory, read and checked once.

    Args:
        directory: where they are.
        cases_later: leave their cases until somebody asks for them, as a service does.

    Raises:
        ShelfError: if the directory is not there or holds no bundle.
        DocumentError: naming every fault of every bundle.
    """

    def __init__(self, directory: Path, *, cases_later: bool = False) -> None:
        self.directory = directory
        self._cases_later = cases_later
        folders = sorted(path.parent for path in directory.glob("*/*/bundle.yaml"))
        if not folders:
            raise ShelfError(
                f"{directory} holds no rule bundle; expected {directory}/<regime>/<version>/"
                "bundle.yaml"
            )
        self._bundles = dict(self._read(folders))

    def __iter__(self) -> Iterator[RuleBundle]:
        return iter(self._bundles.values())

    def regimes(self) -> Mapping[str, tuple[RuleBundle, ...]]:
        """Return regime -> its versions, oldest first."""
        found: dict[str, list[RuleBundle]] = {}
        for bundle in self:
            found.setdefault(bundle.regime, []).append(bundle)
        return {name: tuple(sorted(found[name], key=version_order)) for name in sorted(found)}

    def newest(self) -> tuple[RuleBundle, ...]:
        """Return the newest version of every regime; the ones that are served."""
        return tuple(versions[-1] for versions in self.regimes().values())

    def find(self, address: str) -> RuleBundle:
        """Return the bundle of ``regime@version``, or a regime's newest one.

        Raises:
            ShelfError: naming what there is.
        """
        regime, _, version = address.partition("@")
        versions = self.regimes().get(regime)
        if versions is None:
            known = ", ".join(self.regimes())
            raise ShelfError(f"no regime {regime!r} in {self.directory}; there is {known}")
        if not version:
            return versions[-1]
        for bundle in versions:
            if bundle.version == version:
                return bundle
        known = ", ".join(bundle.version for bundle in versions)
        raise ShelfError(f"no version {version!r} of {regime}; there is {known}")

    def by_digest(self, digest: str) -> RuleBundle | None:
        """Return the bundle with that digest, if it is on the shelf."""
        return next((bundle for bundle in self if bundle.digest == digest), None)

    def _read(self, folders: list[Path]) -> Iterator[tuple[str, RuleBundle]]:
        faults: list[Fault] = []
        for folder in folders:
            where = f"{folder.parent.name}/{folder.name}"
            try:
                bundle = read_bundle_folder(folder, cases_later=self._cases_later)
            except DocumentError as error:
                faults += [Fault(f"{where}: {f.place}", f.problem) for f in error.faults]
                continue
            if (bundle.regime, bundle.version) != (folder.parent.name, folder.name):
                faults.append(
                    Fault(where, f"holds {bundle.identity}; name the folders after what they hold")
                )
            yield bundle.identity, bundle
        if faults:
            raise DocumentError(f"the rules in {self.directory}", faults)


def version_order(bundle: RuleBundle) -> tuple[tuple[int, ...], bool, str]:
    """Order versions by their numbers; a pre-release comes before its release."""
    numbers, dash, rest = bundle.version.partition("-")
    return tuple(map(int, numbers.split("."))), not dash, rest
