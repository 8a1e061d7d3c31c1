"""Whatever the history, a card has the form that the specification asks for."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from builders.cards import (
    HOSTILE,
    SCORED_CARE,
    STEPPED,
    STEPPED_CARE,
    UNHURRIED,
    a_bundle,
    a_context,
    a_history,
    a_renderer,
    histories,
)
from fhir.resources.R4B.medicationrequest import MedicationRequest
from fhir.resources.R4B.servicerequest import ServiceRequest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cds_adapters.cds_hooks.cards import Rendered
from cds_adapters.cds_hooks.drafts import Draft
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.decide import decide
from cds_engine.history.value import History

MODELS: dict[str, Any] = {"MedicationRequest": MedicationRequest, "ServiceRequest": ServiceRequest}
BUNDLES = (STEPPED_CARE, SCORED_CARE)

_codes = st.sampled_from(
    ["rxnorm|29046", "rxnorm|17767", "snomed|443402002", "loinc|85354-9", "rxnorm|0"]
)
_drafts = st.builds(
    Draft,
    st.sampled_from(["MedicationRequest/d1", ""]),
    st.just("MedicationRequest"),
    st.lists(_codes, max_size=2).map(tuple),
    st.sampled_from(HOSTILE),
    st.booleans(),
    st.booleans(),
)
_calls = st.sampled_from(BUNDLES).flatmap(
    lambda bundle: st.tuples(
        st.just(bundle),
        histories(bundle),
        st.none() | st.lists(_drafts, max_size=4),
        st.booleans(),
    )
)


def answer(call: tuple[RuleBundle, History, list[Draft] | None, bool]) -> Rendered:
    bundle, history, drafts, frozen = call
    hook = "patient-view" if drafts is None else "order-select"
    context = a_context(hook, frozen=frozen)
    return a_renderer(bundle).render(decide(bundle, history), history, context, drafts)


def values(part: Any) -> Iterator[Any]:
    """Yield every value inside some JSON."""
    yield part
    inside = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    for value in inside:
        yield from values(value)


@UNHURRIED
@given(_calls)
def test_002_003_nothing_is_null_or_empty(call: Any) -> None:
    for card in answer(call).cards:
        assert not [value for value in values(card) if value in (None, "", [], {})]


@UNHURRIED
@given(_calls)
def test_004_005_a_card_is_strict_json_and_its_orders_are_fhir(call: Any) -> None:
    for card in answer(call).cards:
        assert json.loads(json.dumps(card, allow_nan=False, ensure_ascii=False).encode()) == card
        for resource in [v for v in values(card) if isinstance(v, dict) and "resourceType" in v]:
            model = MODELS[resource["resourceType"]].model_validate(resource)
            assert model.subject.reference == "Patient/pat-1"
            assert (model.status, model.intent) == ("draft", "proposal")


@UNHURRIED
@given(_calls)
def test_070_a_summary_is_one_line_of_fewer_than_140_characters(call: Any) -> None:
    for card in answer(call).cards:
        assert 0 < len(card["summary"]) < 140
        assert card["summary"].isprintable()


@UNHURRIED
@given(_calls)
def test_se_10_a_summary_holds_nothing_from_the_record(call: Any) -> None:
    for card in answer(call).cards:
        assert not [text for text in ("evil", "alert", "<b>", "gnp") if text in card["summary"]]


@UNHURRIED
@given(_calls)
def test_072_to_093_indicators_suggestions_actions_and_links(call: Any) -> None:
    for card in answer(call).cards:
        assert card["indicator"] in {"info", "warning", "critical"}
        assert card["source"]["label"]
        assert ("suggestions" in card) == ("selectionBehavior" in card)
        suggestions = card.get("suggestions", [])
        assert sum(s.get("isRecommended", False) for s in suggestions) <= 1
        for suggestion in suggestions:
            assert suggestion["label"]
            assert suggestion["uuid"]
            for action in suggestion.get("actions", []):
                assert action["description"]
                known = {"create": "resource", "delete": "resourceId"}
                assert set(action) == {"type", "description", known[action["type"]]}
        for link in card["links"]:
            assert link["type"] == "absolute"
            assert link["url"].startswith("https://cds.example.org/")
            assert set(link) == {"label", "url", "type"}


@UNHURRIED
@given(_calls)
def test_069_080_every_identifier_is_used_once_and_has_its_receipt(call: Any) -> None:
    found = answer(call)
    sent = [
        identifier
        for card in found.cards
        for identifier in [card["uuid"], *(s["uuid"] for s in card.get("suggestions", []))]
    ]
    assert len(sent) == len(set(sent))
    kept = [i for receipt in found.receipts for i in (receipt.uuid, *receipt.suggestions)]
    assert kept == sent


@UNHURRIED
@given(_calls)
def test_128_129_extensions_are_objects_under_reverse_domain_names(call: Any) -> None:
    for card in answer(call).cards:
        assert list(card["extension"]) == ["org.cds-engine.rule"]
        assert isinstance(card["extension"]["org.cds-engine.rule"], dict)


@UNHURRIED
@given(_calls)
def test_indicators_follow_the_outcome(call: Any) -> None:
    bundle, history, drafts, _ = call
    decision = decide(bundle, history)
    cards = answer(call).cards
    if drafts is None:
        shown = decision.outcome in ("recommendation", "equipoise", "abstention")
        assert len(cards) == int(shown)
        assert not [card for card in cards if card["indicator"] == "critical"]
    if decision.outcome == "not_applicable":
        assert cards == []
    if decision.outcome == "abstention":
        assert not [card for card in cards if card["indicator"] == "warning"]


_parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_OURS = {
    "paragraph_open", "paragraph_close", "inline", "text", "text_special", "strong_open",
    "strong_close", "em_open", "em_close", "bullet_list_open", "bullet_list_close",
    "list_item_open", "list_item_close", "table_open", "table_close", "thead_open", "thead_close",
    "tbody_open", "tbody_close", "tr_open", "tr_close", "th_open", "th_close", "td_open",
    "td_close", "code_inline", "hardbreak",
}  # fmt: skip


@UNHURRIED
@given(_calls)
def test_071_se_10_a_detail_has_no_markup_but_ours(call: Any) -> None:
    for card in answer(call).cards:
        blocks = _parser.parse(card["detail"])
        found = [token for block in blocks for token in (block, *(block.children or []))]
        assert {token.type for token in found} <= _OURS
        assert "<" not in card["detail"]
        assert {t.content for t in found if t.type == "code_inline"} <= {
            "stepped-care@1.2.0",
            "scored-care@0.1.0",
            STEPPED_CARE.digest[:19],
            SCORED_CARE.digest[:19],
            "8a4c2f6e-0000-4000-8000-000000000001",
        }


@UNHURRIED
@given(_calls)
def test_se_10_every_row_of_the_basis_has_six_cells(call: Any) -> None:
    for card in answer(call).cards:
        blocks = _parser.parse(card["detail"])
        rows = sum(block.type == "tr_open" for block in blocks)
        cells = sum(block.type in ("td_open", "th_open") for block in blocks)
        assert cells == 6 * rows


DIRECTIVE = ("must", "should", "do not ", "stop ", "prescribe", "need to", "required to", "order ")
NOT_READ = re.compile(r"(the order|\d+ orders) could not be (recognised|checked): ")
THE_ORDER = re.compile(r"\b(draft|the) order ")  # a thing that is spoken of, not a thing to do


@UNHURRIED
@given(_calls)
def test_tr_04_a_summary_suggests_and_never_orders(call: Any) -> None:
    for card in answer(call).cards:
        words = card["summary"].lower().removeprefix("[demonstration: as of 2025-04-07] ")
        assert words.startswith(
            (
                "consider", "no advice on", "safeguard against", "safeguard not cleared",
                "the draft order differs from the advice; consider",
                "the regime advises to continue without change", "[demonstration",
            )
        ) or NOT_READ.match(words)  # fmt: skip
        ours = THE_ORDER.sub("", words).replace("raise", "")
        assert not [word for word in DIRECTIVE if word in ours]


@UNHURRIED
@given(_calls)
def test_095_nothing_is_launched_or_chosen_by_itself(call: Any) -> None:
    for card in answer(call).cards:
        names = {name for part in values(card) if isinstance(part, dict) for name in part}
        assert not names & {"autolaunchable", "systemActions", "actionSelectionBehavior"}


@pytest.mark.parametrize("length", [1, 100, 138, 139, 140, 400])
def test_070_a_long_label_is_cut_and_stays_a_sentence(length: int) -> None:
    label = ("word " * 100)[:length].strip() or "w"
    bundle = a_bundle(STEPPED.replace("label: Advise diet and exercise", f"label: {label}"))
    history = a_history(bundle)
    for frozen in (False, True):
        context = a_context(frozen=frozen)
        (card,) = a_renderer(bundle).render(decide(bundle, history), history, context).cards
        assert len(card["summary"]) <= 139
        assert card["summary"].endswith("…") == (length > (129 if not frozen else 95))
