"""A site's settings are one frozen document of stated limits, read once at the edge."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cds_engine.errors import DocumentError, Fault
from cds_engine.vocabulary.code import code_fault

DEFAULT_DATABASE = "sqlite:///cds-engine.sqlite"


class Site(BaseModel):
    """Everything that differs between one installation and another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: Path | None = Field(None, description="Directory of rule bundles; the shipped ones.")
    database: str = Field(DEFAULT_DATABASE, description="SQLAlchemy URL of the audit database.")
    patients: Path | None = Field(
        None, description="Folder of FHIR records whose patients the rewind pages show; none."
    )
    replays: Path | None = Field(
        None, description="Folder with the folders that replays wrote, to be read as pages; none."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="Port to listen on.")
    base_url: str | None = Field(
        None, description="Public URL of the service, for links on cards; from host and port."
    )
    as_of: str | None = Field(
        None, description="Freeze the clock at this ISO instant, for demonstrations."
    )
    allow_as_of: bool = Field(
        default=False,
        description="Let requests set their own instant; never in production, marked on cards.",
    )
    cors_origins: tuple[str, ...] = Field((), description="Origins that browsers may call from.")
    fhir_servers: tuple[str, ...] = Field(
        (), description="Base URLs that missing data may be fetched from; empty: none."
    )
    allow_plain_http: bool = Field(
        default=False, description="Accept http:// FHIR servers; for development only."
    )
    strict_requests: bool = Field(
        default=False, description="Refuse a hookInstance that is no UUID (else it is noted)."
    )
    fetch_deadline: Annotated[float, Field(gt=0, le=60)] = Field(
        4.0, description="Seconds in which all data of one call must have been fetched."
    )
    call_deadline: Annotated[float, Field(gt=0, le=60)] = Field(
        8.0, description="Seconds after which a call is answered with 503."
    )
    max_body: Annotated[int, Field(ge=1_000)] = Field(
        8_000_000, description="Bytes of a request body that are read at most."
    )
    max_pages: Annotated[int, Field(ge=1, le=1_000)] = Field(
        50, description="Pages of one search that are followed at most."
    )
    show_abstentions: bool = Field(
        default=True, description="Show a card when no advice can be given, saying what is missing."
    )
    codes: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Local code -> standard codes, all as system|code."
    )
    time_zone: str = Field("UTC", description="IANA time zone of dates that have no clock time.")

    @field_validator("codes")
    @classmethod
    def _codes_are_written_well(cls, codes: dict[str, tuple[str, ...]]) -> Any:
        for local, standard in codes.items():
            # `|code` is a local code that records give without a system
            if not (local.startswith("|") and len(local) > 1) and (problem := code_fault(local)):
                raise ValueError(f"{problem}; a code recorded without a system is written |code")
            for code in standard:
                if problem := code_fault(code):
                    raise ValueError(problem)
        return codes

    @field_validator("cors_origins", "fhir_servers")
    @classmethod
    def _urls_are_absolute(cls, urls: tuple[str, ...]) -> Any:
        for url in urls:
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError(f"{url!r} is no absolute http(s) URL")
        return urls

    @model_validator(mode="after")
    def _servers_are_reachable_as_set(self) -> "Site":
        plain = [url for url in self.fhir_servers if url.startswith("http:")]
        if plain and not self.allow_plain_http:
            raise ValueError(
                f"fhir_servers holds {plain[0]!r}, which is not https, so that every fetch from it "
                "would be refused; use https, or set allow_plain_http for development"
            )
        return self

    @property
    def public_url(self) -> str:
        """The URL under which the service is reached, without a trailing slash."""
        return (self.base_url or f"http://{self.host}:{self.port}").rstrip("/")


def read_site(path: Path | None, given: Mapping[str, Any]) -> Site:
    """Read the settings file, if one is named; what is given on the command line wins.

    Raises:
        DocumentError: naming each setting that cannot be used, and why.
    """
    settings: dict[str, Any] = {}
    what = f"the settings in {path}" if path else "the settings"
    if path is not None:
        try:
            settings = tomllib.loads(path.read_text("utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise DocumentError(what, [Fault("", f"cannot be read: {error}")]) from error
    settings |= {name: value for name, value in given.items() if value is not None}
    try:
        return Site.model_validate(settings)
    except ValidationError as error:
        faults = [_fault(detail) for detail in error.errors(include_url=False)]
        raise DocumentError(what, faults) from error


def _fault(detail: Any) -> Fault:
    place = ".".join(map(str, detail["loc"]))
    if detail["type"] == "extra_forbidden":
        known = ", ".join(sorted(Site.model_fields))
        return Fault(place, f"there is no such setting; there is {known}")
    if detail["type"] == "tuple_type":
        return Fault(place, f"is no list; write a list: [{_as_text(detail['input'], place)}]")
    return Fault(place, detail["msg"].removeprefix("Value error, "))


def _as_text(given: object, place: str) -> str:
    """Return what was meant for a list of one text as TOML writes it, or an example."""
    if not isinstance(given, str):
        return '"..."'
    if place.startswith("codes.") and code_fault(given):
        return '"snomed|59621000"'
    return json.dumps(given, ensure_ascii=False)
