"""A process that writes audit records: as many as it can, or one for each line it reads.

python audit_worker.py flood URL      prints the id of each acknowledged record, until killed
python audit_worker.py count URL N    stores N records, prints their ids
python audit_worker.py obey URL       answers `append`, `full`, `room` and `healthy`
"""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Iterator
from itertools import count, islice

from builders.audit import a_record, open_store

from cds_adapters.storage.audit import AuditError, AuditStore

CALLERS = 32


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def write(store: AuditStore, turns: Iterator[int]) -> None:
    async def caller() -> None:
        for _ in turns:
            record = a_record(history=b'"%s"' % (b"h" * 1500))
            await store.append_async(record)
            say(record.id)

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(caller())


def obey(store: AuditStore) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for line in sys.stdin:
        match line.strip():
            case "append":
                record = a_record()
                try:
                    store.append(record).result(20)
                except AuditError as error:
                    say(f"failed {record.id} {error}")
                else:
                    say(f"stored {record.id}")
            case "full":
                resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
                say("done")
            case "room":
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
                say("done")
            case "healthy":
                say(str(store.healthy()))


def main() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    task, url, *rest = sys.argv[1:]
    with open_store(url, patience=60.0) as store:
        say("ready")
        match task:
            case "flood":
                asyncio.run(write(store, count()))
            case "count":
                asyncio.run(write(store, islice(count(), int(rest[0]))))
            case "obey":
                obey(store)


if __name__ == "__main__":
    main()
