"""The report of a fit warns before it gives a value, and every picture has its numbers below it."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from builders.command_line import run
from builders.html_pages import Element, read_page
from builders.report_studies import AWKWARD, shown, staged, staged_table
from builders.studies import hypertension, study_of, world_of

from cds_adapters.report.fit import assumptions_report, fit_report
from cds_adapters.report.flow import flow_chart
from cds_adapters.report.page import style_source
from cds_adapters.report.words import Words
from cds_adapters.report.worth import answers
from cds_engine.estimate.export.data import study_trajectories
from cds_engine.estimate.export.skeleton import skeleton
from cds_engine.fit.evidence import Source
from cds_engine.fit.fit import Fit, fit_study

SOURCE = Source("a table <of> ours", "sha256:00", "sha256:01")
SHIPPED = Path(__file__).parents[3] / "rules"


def cohort() -> Fit:
    """Fit a cohort of two stages in which an action is sometimes ruled out."""
    study = study_of(hypertension(n=400))
    frame = world_of(study).draw(400, 7).frame()
    return fit_study(study, frame, SOURCE)


def trial(stages: int, learner: str = "q-learning") -> Fit:
    return fit_study(staged(stages, learner), staged_table(stages), SOURCE)


@pytest.fixture(scope="module")
def fits() -> dict[str, Fit]:
    return {"cohort": cohort(), "one": trial(1), "two": trial(2), "three": trial(3),
            "tree": trial(1, "policy-tree")}  # fmt: skip


@pytest.fixture(scope="module")
def texts(fits: dict[str, Fit]) -> dict[str, str]:
    return {name: fit_report(fit, SOURCE) for name, fit in fits.items()}


KINDS = ["cohort", "one", "two", "three", "tree"]
every_report = pytest.mark.parametrize("kind", KINDS)


def the_table(page: Element, key: str) -> list[list[str]]:
    """Return the cells of the table under a picture."""
    [found] = [one for one in page.find("figure") if one.attributes["id"] == key]
    return [[cell.words() for cell in row.children] for row in found.find("tr")[1:]]


@every_report
def test_a_report_is_valid_fetches_nothing_and_runs_nothing(
    kind: str, texts: dict[str, str]
) -> None:
    text = texts[kind]
    page = read_page(text)
    ids = [one.attributes["id"] for one in page.all() if "id" in one.attributes]
    links = [one.attributes["href"] for one in page.all() if "href" in one.attributes]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert all(link.startswith("#") for link in links)
    assert not [one for one in page.all()
                if one.tag in {"script", "link", "img", "iframe", "object"}]  # fmt: skip
    assert not [name for one in page.all() for name in one.attributes
                if name.startswith("on") or name in {"src", "style"}]  # fmt: skip
    assert len(text.encode()) < 3_000_000


@every_report
def test_headings_go_down_one_level_at_a_time(kind: str, texts: dict[str, str]) -> None:
    page = read_page(texts[kind])
    levels = [int(one.tag[1]) for one in page.all() if re.fullmatch(r"h[1-6]", one.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@every_report
def test_every_picture_has_an_open_table_of_numbers_below_it(
    kind: str, texts: dict[str, str]
) -> None:
    page = read_page(texts[kind])
    pictures = page.find("svg")
    assert len(pictures) == len(page.find("figure")) >= 6
    for figure in page.find("figure"):
        [details] = figure.find("details")
        assert "open" in details.attributes
        assert len(details.find("tr")) > 1
        [picture] = figure.find("svg")
        assert picture.attributes["role"] == "img"
        assert picture.attributes["aria-label"] == figure.find("p")[0].words()


@every_report
def test_the_same_fit_gives_the_same_bytes(
    kind: str, fits: dict[str, Fit], texts: dict[str, str]
) -> None:
    assert fit_report(fits[kind], SOURCE) == texts[kind]


@every_report
def test_the_values_under_the_plot_are_those_of_the_fit(
    kind: str, fits: dict[str, Fit], texts: dict[str, str]
) -> None:
    rows = the_table(read_page(texts[kind]), "values")
    values = fits[kind].values.rows
    assert len(rows) == len(values)
    for cells, row in zip(rows, values, strict=True):
        assert shown(cells[1]) == pytest.approx(row.value.estimate, abs=0.06)
        assert row.value.label in cells[0]
        assert (cells[3] == "none") == (row.crude is None)


def test_differences_are_paired_and_the_crude_ones_stand_beside(
    fits: dict[str, Fit], texts: dict[str, str]
) -> None:
    rows = the_table(read_page(texts["cohort"]), "differences")
    values = fits["cohort"].values
    for cells, row in zip(rows, values.rows[:-1], strict=False):
        gap = row.value.minus(values.usual)
        assert shown(cells[1]) == pytest.approx(gap.estimate, abs=0.006)
        if row.crude is not None:
            crude = row.crude.estimate - values.usual.estimate
            assert shown(cells[3]) == pytest.approx(crude, abs=0.006)
    assert [cells[0] for cells in rows[-2:]] == [
        f"Minus {values.best_fixed.label}: the learned regime (out of fold)",
        f"Minus {values.best_fixed.label}: as it is served (in-sample)",
    ]


@pytest.mark.parametrize("kind", ["one", "two", "three"])
def test_the_flow_counts_every_patient_once(
    kind: str, fits: dict[str, Fit], texts: dict[str, str]
) -> None:
    rows = the_table(read_page(texts[kind]), "flow")
    stages = len(fits[kind].trajectories.stages)
    assert sum(int(row[stages]) for row in rows) == len(fits[kind].trajectories)


def test_the_benefit_is_the_contrast_with_its_interval_from_the_covariance(
    fits: dict[str, Fit], texts: dict[str, str]
) -> None:
    rows = the_table(read_page(texts["one"]), "benefit-0")
    [form] = fits["one"].forms
    constant, slope = form.coefficients.values()  # type: ignore[union-attr]
    for x, benefit, ends in rows:
        at = np.array([1.0, float(x)])
        half = 1.959964 * np.sqrt(at @ form.covariance @ at)  # type: ignore[union-attr]
        low, high = (shown(end) for end in ends.split(" to "))
        middle = constant + slope * float(x)
        sign = 1 if "do1 over wait1" in texts["one"] else -1
        assert shown(benefit) == pytest.approx(sign * middle, abs=0.06)
        assert (low, high) == pytest.approx((middle - half, middle + half), abs=0.06)
    cut = -constant / slope
    assert f"Cut point: do1 and wait1 are equal at pain = {cut:.4g}" in texts["one"]


def test_a_tree_is_drawn_with_n_and_benefit_of_each_leaf(
    fits: dict[str, Fit], texts: dict[str, str]
) -> None:
    [tree] = fits["tree"].forms
    rows = the_table(read_page(texts["tree"]), "tree-0")
    leaves = tree.leaves()  # type: ignore[union-attr]
    assert [row[2] for row in rows] == [str(leaf.n) for leaf in leaves]
    assert [row[1] for row in rows] == [leaf.action for leaf in leaves]


def test_only_a_cohort_has_a_sensitivity_curve(fits: dict[str, Fit], texts: dict[str, str]) -> None:
    assert 'id="sensitivity"' not in texts["two"]
    assert "Every stage was randomised" in texts["two"]
    rows = the_table(read_page(texts["cohort"]), "sensitivity")
    model = fits["cohort"].sensitivity
    assert model is not None
    for gamma, _, ends in rows:
        bounds = tuple(shown(end) for end in ends.split(" to "))
        assert bounds == pytest.approx(model.bounds(float(gamma)), abs=0.06)


def test_fixed_regimes_of_a_trial_with_stages_are_its_embedded_ones(texts: dict[str, str]) -> None:
    assert "Embedded regimes" in texts["two"]
    assert "Fixed regimes" in texts["cohort"]
    assert "Embedded regimes" not in texts["cohort"]


def test_names_are_escaped_wherever_they_stand(texts: dict[str, str]) -> None:
    page = read_page(texts["two"])
    assert "<script" not in texts["two"]
    assert "<b>" not in texts["two"]
    assert page.find("h1")[0].words() == "A trial <script>alert(1)</script>"
    assert AWKWARD in page.words()
    assert "a table <of> ours" in page.words()


def test_poor_positivity_is_said_before_any_value() -> None:
    table = staged_table(1, n=600)
    rare = table["a1"].eq("do1") & (table.index % 12 != 0)
    table.loc[rare, "a1"] = "wait1"
    study = staged(1, "policy-tree")
    fit = fit_study(study, table, SOURCE)
    text = fit_report(fit, SOURCE)
    page = read_page(text)
    words = page.find("main")[0].words()
    [problem] = [one.problem() for one in fit.overlaps if one.poor]
    said = words.index(problem[1:])
    assert words.index("Positivity is poor") < said < words.index("What was asked")
    for row in the_table(page, "values"):
        assert said < words.index(row[1])
    for _, difference, _, _ in answers(fit.values, Words.of(study)):
        assert said < words.index(difference)
    [notes] = [one for one in page.find("section")
               if one.attributes["aria-labelledby"] == "notes"]  # fmt: skip
    assert notes.find("li")[0].words() == f"Positivity: {problem}."


def test_the_ledger_leaves_room_to_sign(texts: dict[str, str]) -> None:
    entries = read_page(texts["cohort"]).find("article")
    assert len(entries) == 3
    for entry in entries:
        assert [one.words() for one in entry.find("div")[0].children] == [
            "Name", "Date", "Signature"]  # fmt: skip


def test_the_report_names_seed_digests_and_the_parity_certificate(
    fits: dict[str, Fit], texts: dict[str, str]
) -> None:
    words = read_page(texts["cohort"]).words()
    exported = fits["cohort"].exported
    for said in (exported.bundle.digest, exported.certificate.digest, SOURCE.data_digest,
                 SOURCE.study_digest, "Seed 1", "Histories that were compared"):  # fmt: skip
        assert said in words


def test_the_style_is_let_pass_by_the_policy_of_the_page(texts: dict[str, str]) -> None:
    assert style_source().replace("'", "&#39;") in texts["one"]


def test_the_assumptions_alone_hold_no_value() -> None:
    text = assumptions_report(staged(2), staged_table(2), SOURCE)
    page = read_page(text)
    keys = [one.attributes["id"] for one in page.find("figure")]
    assert keys == ["flow", "overlap", "weights", "balance"]
    assert "had all followed" not in page.words()


def test_fit_writes_the_report_beside_the_bundle_and_the_reader_ignores_it(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "depression-augmentation" / "1.0.0"
    said = run("fit", SHIPPED / "depression-augmentation" / "1.0.0", "--out", folder, "--json")
    assert said.code == 0
    assert "report" not in said.document
    read_page((folder / "report.html").read_text(encoding="utf-8"))
    assert run("check", folder).code == 0


def test_assume_writes_its_report_where_it_is_told(tmp_path: Path) -> None:
    study = SHIPPED / "depression-augmentation" / "1.0.0"
    out = tmp_path / "assumptions.html"
    assert run("assume", study, "--out", out).code == 0
    read_page(out.read_text(encoding="utf-8"))
    refused = run("assume", study, "--out", tmp_path / "nowhere" / "a.html")
    assert refused.code == 3
    assert "cannot be written" in refused.err


def test_a_flow_with_very_many_paths_is_drawn_as_far_as_it_can_be_read() -> None:
    study, table = staged(6), staged_table(6, n=1500)
    chart = flow_chart(study_trajectories(study, table, skeleton(study))[0])
    assert chart.title == "Flow of the trial (SMART), drawn up to stage stage5"
    assert len(chart.rows) == len(table.groupby([f"a{k}" for k in range(1, 7)]))


def first_box(text: str) -> str:
    """Return the words of what is to be read first."""
    return next(one.words() for one in read_page(text).find("section")
                if one.attributes["aria-labelledby"] == "first")  # fmt: skip


def test_what_is_to_be_read_first_names_a_doubt_with_its_reason(
    fits: dict[str, Fit], texts: dict[str, str]
) -> None:
    entry = fits["cohort"].ledger[2]
    assert entry.judgement == "doubtful"
    [why, *_] = entry.whys
    assert f"Doubtful: sequential exchangeability. {why[0].upper()}{why[1:]}" in first_box(
        texts["cohort"]
    )
    assert "sequential exchangeability" not in first_box(texts["two"])


def test_a_cohort_without_a_doubt_is_said_to_be_measured_not_supported(
    fits: dict[str, Fit],
) -> None:
    fit = fits["cohort"]
    calm = replace(fit.ledger[2], judgement="no problem measured", whys=())
    told = first_box(fit_report(replace(fit, ledger=(*fit.ledger[:2], calm)), SOURCE))
    assert "Sequential exchangeability: no problem was measured" in told
    assert "Doubtful: sequential" not in told


def test_what_is_to_be_read_first_names_values_that_rest_on_few(
    fits: dict[str, Fit], texts: dict[str, str]
) -> None:
    thin = [row.value for row in fits["cohort"].values.rows if row.value.effective_n < 50]
    assert thin
    for value in thin:
        said = f"{value.label} rests on effective n {value.effective_n:.1f}; a replay refuses"
        assert said in first_box(texts["cohort"])
    assert not any(row.value.effective_n < 50 for row in fits["two"].values.rows)
    assert "a replay refuses" not in first_box(texts["two"])
