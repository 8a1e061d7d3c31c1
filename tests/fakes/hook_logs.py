"""An audit and a feedback log that remember what they were given, or refuse it."""

from collections.abc import Sequence

from cds_adapters.storage.records import AuditRecord, Feedback


class FakeAudit:
    """Keeps records in a list; ``broken`` makes every append fail, ``ill`` says so beforehand."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []
        self.broken = False
        self.ill = False

    async def append_async(self, record: AuditRecord) -> None:
        if self.broken:
            raise OSError("no space left for Canaryname")
        self.records.append(record)

    def healthy(self) -> bool:
        return not self.ill

    @property
    def last(self) -> AuditRecord:
        return self.records[-1]


class FakeFeedback:
    """Keeps each item once, whoever sends it again."""

    def __init__(self) -> None:
        self.items: dict[tuple[object, ...], Feedback] = {}
        self.broken = False

    async def store_async(self, items: Sequence[Feedback]) -> None:
        if self.broken:
            raise OSError("no space left")
        for item in items:
            key = (item.card, item.outcome, item.at, item.accepted, item.reason, item.comment)
            self.items.setdefault(key, item)
