"""Files become a checked rule bundle, or one error that lists every fault with place and cure."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cds_engine.bundle.check import Compiler
from cds_engine.bundle.document import BundleDocument, CasesDocument
from cds_engine.bundle.faults import document_faults
from cds_engine.bundle.manifest import digest_of, manifest_of
from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.yaml import as_json, read_yaml, unsafe_values
from cds_engine.errors import Fault, RuleBundleError

FILES = frozenset({"bundle.yaml", "cases.yaml", "README.md", "evidence.json"})
"""The files a rule bundle may hold; anything else is refused."""

_Model = TypeVar("_Model", bound=BaseModel)


def read_bundle(files: Mapping[str, bytes], *, cases_later: bool = False) -> RuleBundle:
    """Check the files of one rule bundle and return it, ready to decide.

    Args:
        files: file name -> exact bytes; ``bundle.yaml`` is required.
        cases_later: leave the cases until somebody asks for them. They decide nothing, and reading
            them takes longer than all the rest.

    Raises:
        RuleBundleError: lists every fault found.
    """
    _refuse_strange_files(files)
    written = files.get("cases.yaml")
    if cases_later and written is not None:
        return _checked(files, _document("bundle.yaml", files["bundle.yaml"], BundleDocument))
    document, cases = _documents(files)
    found = _checked(files, document, cases)
    return found if cases is None else replace(found, read_cases=lambda: cases)


def _checked(
    files: Mapping[str, bytes], document: BundleDocument, cases: CasesDocument | None = None
) -> RuleBundle:
    """Compile a document, and check the cases that are given; else leave them for later."""
    compiler = Compiler(document)
    parts = compiler.compile()
    if cases is not None:
        compiler.check_cases(cases)
    _refuse_faults(document, compiler)
    manifest = manifest_of(files)

    def read_cases() -> CasesDocument | None:
        if "cases.yaml" not in files:
            return None
        found = _document("cases.yaml", files["cases.yaml"], CasesDocument)
        compiler.check_cases(found)
        _refuse_faults(document, compiler)
        return found

    return RuleBundle(document, digest_of(manifest), manifest, *parts, compiler.notes(), read_cases)


def _refuse_faults(document: BundleDocument, compiler: Compiler) -> None:
    if compiler.faults:
        raise RuleBundleError(f"rule bundle {document.regime}@{document.version}", compiler.faults)


def _refuse_strange_files(files: Mapping[str, bytes]) -> None:
    if "bundle.yaml" not in files:
        raise RuleBundleError(
            "rule bundle", [Fault("", "there is no bundle.yaml; name the folder that holds it")]
        )
    strange = sorted(set(files) - FILES)
    if strange:
        known = ", ".join(sorted(FILES))
        problem = f"does not belong to a rule bundle, which holds {known}; remove it"
        raise RuleBundleError("rule bundle", [Fault(name, problem) for name in strange])


def _documents(files: Mapping[str, bytes]) -> tuple[BundleDocument, CasesDocument | None]:
    """Read both documents; the faults of one do not hide those of the other."""
    cases: CasesDocument | None = None
    problem: RuleBundleError | None = None
    if "cases.yaml" in files:
        try:
            cases = _document("cases.yaml", files["cases.yaml"], CasesDocument)
        except RuleBundleError as error:
            problem = error
    try:
        document = _document("bundle.yaml", files["bundle.yaml"], BundleDocument)
    except RuleBundleError as error:
        if problem is None:
            raise
        raise RuleBundleError("rule bundle", [*error.faults, *problem.faults]) from error
    if problem is not None:
        raise problem
    return document, cases


def _document(name: str, data: bytes, model: type[_Model]) -> _Model:
    content: Mapping[str, Any] = read_yaml(name, data)
    faults = list(unsafe_values(content))
    if not faults:
        try:
            return model.model_validate_json(as_json(content))
        except ValidationError as error:
            faults = document_faults(error, content)
    prefix = "" if name == "bundle.yaml" else f"{name}: "
    raise RuleBundleError(
        f"rule bundle ({name})", [Fault(prefix + fault.place, fault.problem) for fault in faults]
    )


def bundle_schema() -> str:
    """Return the JSON Schema of ``bundle.yaml`` for editors, as text."""
    schema = BundleDocument.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "cds-engine rule bundle"
    return json.dumps(schema, indent=2, sort_keys=True)
