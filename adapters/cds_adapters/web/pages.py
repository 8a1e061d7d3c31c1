"""The pages and their addresses: regimes, versions, decisions, and trying a regime out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cds_adapters.cds_hooks.hooks import SERVED
from cds_adapters.site import Site
from cds_adapters.storage.records import AuditRecord, Feedback
from cds_adapters.storage.shelf import Shelf, ShelfError
from cds_adapters.web.account import account
from cds_adapters.web.bundlefiles import bundle_file
from cds_adapters.web.decisionview import evaluate_again, feedback_rows, stored_view
from cds_adapters.web.errors import PageError
from cds_adapters.web.formguard import check_form, form_token, set_token
from cds_adapters.web.overview import overview, recent_rows
from cds_adapters.web.patientview import PatientView, patient_view, read_wish
from cds_adapters.web.regimeview import regime_view
from cds_adapters.web.render import SECURITY_HEADERS, Renderer
from cds_adapters.web.replayfolder import ReplayFolder
from cds_adapters.web.replays import ReplayPages
from cds_adapters.web.runrow import RunTold, run_told
from cds_adapters.web.serve import PageRoutes, static_file, stored
from cds_adapters.web.tryform import read_entry
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.cases import given_history
from cds_engine.decide.decide import decide
from cds_engine.decide.regime import Regime
from cds_engine.history.event import Record
from cds_engine.vocabulary.time import Instant

HOOKS = tuple(hook.name for hook in SERVED)
RECENT = 25
LISTED = 50
"""How many patients are listed by their ids."""


class AuditReader(Protocol):
    """What pages read from the audit store."""

    def get(self, decision_id: str, /) -> AuditRecord | None:
        """Return the record of a decision, or None."""

    def recent(self, limit: int, /) -> Sequence[AuditRecord]:
        """Return the newest records, newest first."""

    def outcome_counts(self, regime: str, version: str, /) -> Mapping[str, int]:
        """Return outcome -> how often it was the answer of one version."""

    def feedback_for(self, decision_id: str, /) -> Sequence[Feedback]:
        """Return the feedback on the cards of a decision."""


class PatientReader(Protocol):
    """Where the rewind pages get patients' records from."""

    def find(self, patient: str, /) -> Record | None:
        """Return a patient's record; None if there is none."""

    def names(self) -> Sequence[str]:
        """Return the ids of all patients, in order."""


@dataclass(frozen=True, slots=True)
class Pages:
    """What the pages are made from.

    Attributes:
        regimes: ``regime@version`` -> the regime, for every bundle on the shelf.
        clock: the instant that a decision made now is made for; frozen where the site's is.
        hooks: the hooks that each newest version is served on.
        patients: whose records can be looked at; None where nobody's can.
        replays: whose reports can be read; None where there are none.
    """

    shelf: Shelf
    regimes: Mapping[str, Regime]
    audit: AuditReader
    site: Site
    clock: Callable[[], Instant]
    hooks: Sequence[str] = HOOKS
    patients: PatientReader | None = None
    replays: ReplayFolder | None = None


def add_pages(app: FastAPI, pages: Pages) -> None:
    """Add every page to an application."""
    shown = _Shown(pages)
    routes = PageRoutes(app, shown.render)
    routes.get("/", shown.index)
    routes.get("/regimes/{regime}", shown.newest)
    routes.get("/regimes/{regime}/{version}", shown.regime)
    routes.get("/regimes/{regime}/{version}/files/{name}", shown.file)
    routes.get("/try/{regime}", shown.try_out)
    routes.get("/try/{regime}/{version}", shown.try_out)
    routes.get("/decisions/{id}", shown.decision)
    routes.post("/decisions/{id}/evaluate", shown.evaluate, check_form)
    routes.get("/patients", shown.patients)
    routes.get("/patients/{id}", shown.patient)
    ReplayPages(
        pages.replays,
        shown.render,
        pages.shelf.by_digest,
        lambda identity: pages.regimes[identity].bundle if identity in pages.regimes else None,
        patients=pages.patients is not None,
    ).add(routes)
    routes.get("/static/{name}", shown.static)
    routes.catch_lost_readers()


class _Shown:
    """One method per page; each takes the request and returns the response."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.render = Renderer(pages.site, patients_shown=pages.patients is not None)

    def index(self, _request: Request) -> Response:
        shelf, audit = self.pages.shelf, self.pages.audit
        view = stored(lambda: overview(shelf, audit, self.pages.hooks))
        recent = recent_rows(shelf, stored(lambda: audit.recent(RECENT)))
        replays = self.pages.replays
        return self.render.page(
            "index.html",
            view=view,
            recent=recent,
            now=self.pages.clock(),
            limit=RECENT,
            replays=None if replays is None else replays.names(),
        )

    def newest(self, request: Request) -> Response:
        bundle = self.bundle(request)
        target = self.render.url("regimes", bundle.regime, bundle.version)
        return RedirectResponse(target, 307, {**SECURITY_HEADERS, "Cache-Control": "no-store"})

    def regime(self, request: Request) -> Response:
        bundle = self.bundle(request)
        versions = self.pages.shelf.regimes()[bundle.regime]
        view = regime_view(bundle, self.pages.clock())
        return self.render.page("regime.html", view=view, bundle=bundle, versions=versions)

    def file(self, request: Request) -> Response:
        bundle, name = self.bundle(request), request.path_params["name"]
        data = bundle_file(self.pages.shelf, bundle, name)
        if request.query_params.get("download"):
            headers = {
                **SECURITY_HEADERS,
                "Cache-Control": "no-store",
                "Content-Disposition": f'attachment; filename="{name}"',
            }
            return Response(data, headers=headers, media_type="application/octet-stream")
        text = data.decode("utf-8", errors="replace")
        return self.render.page(
            "file.html", bundle=bundle, name=name, text=text, digest=bundle.manifest[name]
        )

    def try_out(self, request: Request) -> Response:
        bundle = self.bundle(request)
        entry = read_entry(bundle, request.query_params)
        told = None
        if entry.usable:
            history = given_history(
                bundle, entry.values, self.pages.clock(), deceased=entry.deceased
            )
            told = account(bundle, decide(bundle, history), history, self.render.calendar)
        status = 400 if entry.sent and not entry.usable else 200
        return self.render.page("try.html", status, bundle=bundle, entry=entry, account=told)

    def decision(self, request: Request) -> Response:
        record = self.record(request)
        token = form_token(request)
        response = self.render.page(
            "decision.html",
            record=record,
            again=evaluate_again(record, self.pages.shelf, self.render.calendar),
            stored=stored_view(record, self.render.calendar),
            feedback=feedback_rows(stored(lambda: self.pages.audit.feedback_for(record.id))),
            token=token,
        )
        secure = self.pages.site.public_url.startswith("https:")
        set_token(response, token, self.render.url("decisions"), secure=secure)
        return response

    def evaluate(self, request: Request) -> Response:
        record = self.record(request)
        again = evaluate_again(record, self.pages.shelf, self.render.calendar)
        if again.standing == "no-decision":
            raise PageError(
                409,
                "There is no decision to evaluate",
                "The call ended with an error before a decision was made.",
                "Go back to the record, which names the error.",
            )
        return self.render.page("evaluate.html", record=record, again=again)

    def patients(self, request: Request) -> Response:
        """Ask for a patient's id, or go to the page of the one that was asked for."""
        wanted = request.query_params.get("id", "").strip()
        if wanted and self.pages.patients is not None:
            target = self.render.url("patients", wanted)
            return RedirectResponse(target, 303, {**SECURITY_HEADERS, "Cache-Control": "no-store"})
        names = self.pages.patients.names() if self.pages.patients else None
        return self.render.page("patients.html", names=names, listed=LISTED)

    def patient(self, request: Request) -> Response:
        record = self.rewound(request.path_params["id"])
        wish = read_wish(request.query_params, self.pages.clock())
        names = [bundle.identity for bundle in self.pages.shelf.newest()]
        if wish.regime in self.pages.regimes and wish.regime not in names:
            names.append(wish.regime)  # an older version, which a replay was of
        regimes = [self.pages.regimes[name] for name in names]
        view = patient_view(record, regimes, wish, self.render.calendar)
        status = 400 if wish.problem else 404 if view.absent else 200
        return self.render.page("patient.html", status, view=view, run=self.beside(view))

    def beside(self, view: PatientView) -> RunTold | None:
        """Return what the run says whose page led here; None where none did."""
        wish = view.wish
        if not wish.run or wish.problem:
            return None
        told = None
        if view.shown is not None and view.decision is not None:
            told = view.shown.bundle, view.decision
        patient = view.patient, wish.without
        return run_told(self.pages.replays, wish.run, wish.side, told, patient)

    def static(self, request: Request) -> Response:
        return static_file(self.render, request)

    def bundle(self, request: Request) -> RuleBundle:
        """Return the bundle that the address names; the newest where it names no version."""
        names = (
            request.path_params[part]
            for part in ("regime", "version")
            if part in request.path_params
        )
        try:
            return self.pages.shelf.find("@".join(names))
        except ShelfError as error:
            raise PageError(
                404,
                "There is no such regime or version",
                "It is not among the rule bundles that this service has read.",
                "Start from the list of regimes.",
            ) from error

    def rewound(self, patient: str) -> Record:
        """Return the record of the patient that the address names."""
        if self.pages.patients is None:
            raise PageError(
                404,
                "No patients' records are shown here",
                "This service was not told where there are any.",
                "Start it with --patients and the folder of their records.",
            )
        record = self.pages.patients.find(patient)
        if record is None:
            raise PageError(
                404,
                "There is no such patient",
                "The folder of records holds nothing about a patient with this id.",
                "Check that the id is that of the Patient resource. Some are listed at /patients.",
            )
        return record

    def record(self, request: Request) -> AuditRecord:
        wanted = request.path_params["id"]
        record = stored(lambda: self.pages.audit.get(wanted))
        if record is None:
            raise PageError(
                404,
                "There is no such decision",
                "No decision with this id is stored here.",
                "Check that the id was copied whole, and that it comes from this service.",
            )
        return record
