"""Two versions of a regime, compared part by part: what was added, removed, changed or moved."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from cds_engine.bundle.change import Change, field_changes, shown
from cds_engine.bundle.document import Case
from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.rule_difference import Comparison, Guard
from cds_engine.criteria.syntax import IntegerForm
from cds_engine.criteria.words import criterion_words

__all__ = ["Change", "difference"]


def difference(old: RuleBundle, new: RuleBundle) -> tuple[Change, ...]:
    """Return every change from one rule bundle to another, in the order of the document.

    How things are written (white space, quotes, the order of fields) makes no difference. The
    README is not compared.
    """
    return tuple(_Difference(old, new).changes())


class _Difference:
    def __init__(self, old: RuleBundle, new: RuleBundle) -> None:
        self.old = old
        self.new = new
        self.compare = Comparison(old, new)

    def changes(self) -> Iterator[Change]:
        yield from self.head()
        pair = (self.old.population, self.new.population)
        yield from self.compare.criterion("population", "population", *pair)
        yield from self.variables()
        yield from self.named("actions", "action", self.old.actions, self.new.actions)
        yield from self.compare.guards("safeguard", _safeguards(self.old), _safeguards(self.new))
        yield from self.stages()
        yield from self.cases()

    def head(self) -> Iterator[Change]:
        before, after = self.old.document, self.new.document
        for field in (
            "regime", "version", "title", "description", "source", "effective_from", "review_by",
            "expires", "evidence",
        ):  # fmt: skip
            yield from field_changes(field, field, getattr(before, field), getattr(after, field))
        yield from _fields("aim", "aim", before.aim, after.aim)
        yield from _fields("about", "about", before.about, after.about)

    def variables(self) -> Iterator[Change]:
        """Compare variables; of derived ones, the criteria, so that thresholds are seen."""
        yield from self.named("variables", "variable", self.old.variables, self.new.variables)
        before = {item.name: item for item in self.old.derived}
        for item in self.new.derived:
            earlier = before.get(item.name)
            if earlier is None or earlier.text == item.text:
                continue
            place, what = f"variables.{item.name}.derive", f"variable {item.name}"
            if isinstance(earlier.expression, IntegerForm) or isinstance(
                item.expression, IntegerForm
            ):
                yield Change(place, "changed", f"{what}: expression", earlier.text, item.text)
            else:
                yield from self.compare.criterion(place, what, earlier.expression, item.expression)

    def named(
        self, section: str, kind: str, old: Mapping[str, BaseModel], new: Mapping[str, BaseModel]
    ) -> Iterator[Change]:
        """Compare parts that have names, field by field."""
        for name, part in old.items():
            if name not in new:
                yield Change(f"{section}.{name}", "removed", f"{kind} {name}", shown(part), "")
        for name, part in new.items():
            if name not in old:
                yield Change(f"{section}.{name}", "added", f"{kind} {name}", "", shown(part))
            else:
                yield from _fields(f"{section}.{name}", f"{kind} {name}", old[name], part)

    def stages(self) -> Iterator[Change]:
        before = {stage.name: stage for stage in self.old.stages}
        after = {stage.name: stage for stage in self.new.stages}
        for name, stage in before.items():
            if name not in after:
                who = criterion_words(stage.when, self.old.kinds)
                yield Change(stage.place, "removed", f"stage {name}", who, "")
        for name, stage in after.items():
            if name not in before:
                who = criterion_words(stage.when, self.new.kinds)
                yield Change(stage.place, "added", f"stage {name}", "", who)
            else:
                yield from self.stage(name)
        kept = [name for name in before if name in after]
        if kept != [name for name in after if name in before]:
            orders = (shown(tuple(before)), shown(tuple(after)))
            yield Change("stages", "moved", "order of the stages", *orders)

    def stage(self, name: str) -> Iterator[Change]:
        before, after, what = self.old.stage(name), self.new.stage(name), f"stage {name}"
        place = after.place
        yield from field_changes(f"{place}.title", f"{what}: title", before.title, after.title)
        yield from self.compare.criterion(f"{place}.when", what, before.when, after.when)
        yield from field_changes(f"{place}.choose", f"{what}: options", before.choose, after.choose)
        yield from self.compare.rule(what, before, after)
        old, new = (s.estimates.document if s.estimates else None for s in (before, after))
        yield from _fields(f"{place}.estimates", f"{what}: estimates", old, new)

    def cases(self) -> Iterator[Change]:
        before, after = _cases(self.old), _cases(self.new)
        for name in dict.fromkeys((*before, *after)):
            what = f"case: {name}"
            yield from field_changes("cases.yaml", what, before.get(name), after.get(name))


def _fields(
    place: str, what: str, old: BaseModel | None, new: BaseModel | None
) -> Iterator[Change]:
    """Compare two parts of one kind field by field; None has no field at all."""
    part = new or old
    for field, info in type(part).model_fields.items() if part else ():
        before, after = getattr(old, field, None), getattr(new, field, None)
        if field == "derive" and before and after:
            continue  # compared as criteria, not as text
        name = info.alias or field
        yield from field_changes(f"{place}.{name}", f"{what}: {name}", before, after)


def _safeguards(bundle: RuleBundle) -> list[Guard]:
    return [
        Guard(item.place, tuple(sorted(item.never)), item.when, item.because)
        for item in bundle.safeguards
    ]


def _cases(bundle: RuleBundle) -> dict[str, dict[str, object]]:
    """Return each case by its name, with the values that all cases start from put in."""
    if bundle.cases is None:
        return {}
    return {case.case: _case(bundle.cases.defaults, case) for case in bundle.cases.cases}


def _case(defaults: Mapping[str, object], case: Case) -> dict[str, object]:
    given = {name: v for name, v in {**defaults, **case.given}.items() if v is not None}
    if case.deceased:
        given["deceased"] = True
    return given | {"expect": case.expect.model_dump(exclude_none=True)}
