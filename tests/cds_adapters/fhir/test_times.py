"""A FHIR date or dateTime becomes the first and last instant that it can mean."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_adapters.fhir import times
from cds_adapters.fhir.times import UnreadableTimeError, read_instant, read_time, sortable
from cds_engine.vocabulary.time import DAY, SECOND, instant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
MOMENTS = st.datetimes(
    min_value=datetime(2, 1, 1),  # noqa: DTZ001 - hypothesis adds the time zone
    max_value=datetime(9998, 12, 31),  # noqa: DTZ001
    timezones=OFFSETS,
)


@given(MOMENTS, st.sampled_from(["auto", "seconds", "milliseconds", "microseconds"]))
def test_an_instant_is_what_datetime_arithmetic_says(moment: datetime, digits: str) -> None:
    text = moment.isoformat(timespec=digits)

    at = read_instant(text)

    assert at == (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)
    time = read_time(text, ZoneInfo("Asia/Tokyo"))
    assert (time.start, time.end, time.precision) == (at, at, "instant")


@given(st.dates())
def test_a_date_covers_its_utc_day(day: date) -> None:
    time = read_time(day.isoformat())

    assert time.precision == "day"
    assert time.start == instant(datetime(day.year, day.month, day.day, tzinfo=UTC))
    assert time.end == time.start + DAY - 1


@given(st.dates(date(1, 1, 1), date(9999, 11, 30)))
def test_a_month_and_a_year_cover_all_their_days(day: date) -> None:
    month, year = read_time(day.isoformat()[:7]), read_time(day.isoformat()[:4])
    following = (day.replace(day=1) + timedelta(days=31)).replace(day=1)

    assert (month.precision, year.precision) == ("month", "year")
    assert month.start == read_time(day.replace(day=1).isoformat()).start
    assert month.end == read_time(following.isoformat()).start - 1
    assert year.start == read_time(day.replace(month=1, day=1).isoformat()).start
    assert year.end == read_time(day.replace(month=12, day=31).isoformat()).end


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.sampled_from(
    ["America/New_York", "Europe/Berlin", "Asia/Kolkata", "Pacific/Apia", "America/Havana"]
))  # fmt: skip
def test_a_date_covers_the_day_at_the_site(day: date, name: str) -> None:
    zone = ZoneInfo(name)
    time = read_time(day.isoformat(), zone)
    next_day = day + timedelta(days=1)

    assert time.start == instant(datetime(day.year, day.month, day.day, tzinfo=zone))
    expected = instant(datetime(next_day.year, next_day.month, next_day.day, tzinfo=zone)) - 1
    assert time.end == max(time.start, expected)
    assert time.precision == "day"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2024-02-29T12:00:00Z", "2024-02-29T12:00:00+00:00", id="Z"),
        pytest.param("2024-02-29T12:00:00.5+02:00", "2024-02-29T10:00:00.500000+00:00", id="half"),
        pytest.param("2024-01-01T00:00:00.1234567891Z", "2024-01-01T00:00:00.123456+00:00",
                     id="digits beyond the microsecond are cut off"),
        pytest.param("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00", id="leap second"),
        pytest.param("2024-01-01T00:00:00-00:00", "2024-01-01T00:00:00+00:00", id="minus nought"),
    ],
)  # fmt: skip
def test_instants(text: str, expected: str) -> None:
    assert read_instant(text) == instant(datetime.fromisoformat(expected))


def test_the_end_of_the_calendar_is_a_time_too() -> None:
    last = instant(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))

    assert read_time("9999-12-31").end == last
    assert read_time("9999").end == last
    assert read_time("9999-12").end == last
    assert read_time("9999-12-31T23:59:59-05:00").end == last
    assert read_time("9999-12-31", ZoneInfo("America/New_York")).end == last
    assert read_time("0001-01-01T00:00:00+14:00").start == instant(datetime(1, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2024-01-01T10:00:00", "without an offset"),
        ("2024-01-01T10:00:00.25", "without an offset"),
        ("2024-13-01", "does not exist"),
        ("2023-02-29", "does not exist"),
        ("0000", "does not exist"),
        ("0000-01-01T00:00:00Z", "does not exist"),
        ("2024-00", "does not exist"),
        ("2023-02-29T00:00:00Z", "does not exist"),
        ("", "not written as YYYY"),
        ("24", "not written as YYYY"),
        ("20240101", "not written as YYYY"),
        ("2024-1-1", "not written as YYYY"),
        ("2024-W01-1", "not written as YYYY"),
        ("\u0662\u0660\u0662\u0664", "not written as YYYY"),
        ("2024-01-01\n", "not written as YYYY-MM-DDThh"),
        ("2024-01-01T10:00Z", "not written as YYYY-MM-DDThh"),
        ("2024-01-01 10:00:00Z", "not written as YYYY-MM-DDThh"),
        ("2024-01-01t10:00:00z", "not written as YYYY-MM-DDThh"),
        ("2024-01-01T24:00:00Z", "not written as YYYY-MM-DDThh"),
        ("2024-01-01T10:00:00+0100", "not written as YYYY-MM-DDThh"),
        ("2024-01-01T10:00:00+15:00", "not written as YYYY-MM-DDThh"),
        ("2024-01-01T10:00:00Z ", "not written as YYYY-MM-DDThh"),
        ("yesterday, I believe", "not written as YYYY-MM-DDThh"),
    ],
)
def test_what_is_no_time_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(UnreadableTimeError, match=words) as refused:
        read_time(text)

    assert refused.value.gap
    assert not text.strip() or text.strip() not in refused.value.reason


@given(st.text(max_size=30) | st.from_regex(r"[0-9T:Z.+-]{1,30}", fullmatch=True))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        time = read_time(text)
    except UnreadableTimeError:
        return
    assert time.start <= time.end
    assert time.precision != "instant" or time.start == time.end


@given(MOMENTS, MOMENTS, st.booleans())
def test_sortable_text_compares_as_instants_do(one: datetime, other: datetime, utc: bool) -> None:
    texts = [m.astimezone(UTC).isoformat() if utc else m.isoformat() for m in (one, other)]
    first, second = map(sortable, texts)

    assert (first < second) == (one < other)
    assert sortable(texts[0].replace("+00:00", "Z")) == first
    assert len(first) == 26


def test_sortable_text_is_the_same_however_the_instant_is_written() -> None:
    ways = ["00:00:00Z", "00:00:00.0Z", "00:00:00.0000000009+00:00", "02:00:00+02:00"]

    assert {sortable(f"2024-01-01T{way}") for way in ways} == {"2024-01-01T00:00:00.000000"}
    assert sortable("2016-12-31T23:59:60Z") == "2017-01-01T00:00:00.000000"


@pytest.mark.parametrize(
    "text",
    ["2024-01-01T00:00:00", "2024-01-01T00:00Z", "Z", "+00:00", "", "2024-01-01T00:00:00.\x00Z",
     "2024-01-01 00:00:00Z"],
)  # fmt: skip
def test_what_is_no_time_has_no_sortable_text(text: str) -> None:
    with pytest.raises(UnreadableTimeError):
        sortable(text)


def test_a_second_is_a_million_microseconds() -> None:
    first, second = read_instant("2024-01-01T00:00:00Z"), read_instant("2024-01-01T00:00:01Z")

    assert second - first == SECOND


_DAYS = st.sampled_from(
    ["0001-01-01", "1969-12-31", "2024-02-29", "2024-02-30", "9999-12-31", "2024-1-01", "2024-01"]
)
_CLOCKS = st.sampled_from(
    ["T00:00:00Z", "T23:59:60Z", "T12:30:00.1234567+02:00", "T00:00:00+14:00", "T24:00:00Z",
     "T23:59:59-13:59", "T12:00:00", "", "t12:00:00Z"]
)  # fmt: skip


def _read(text: str) -> object:
    try:
        return read_instant(text)
    except UnreadableTimeError as fault:
        return str(fault)


@given(st.lists(st.tuples(_DAYS, _CLOCKS), min_size=1, max_size=12))
def test_a_time_means_the_same_whatever_was_read_before(parts: list[tuple[str, str]]) -> None:
    texts = [day + clock for day, clock in parts]
    alone = []
    for text in texts:
        times._seen_days.clear()
        times._seen_clocks.clear()
        alone.append(_read(text))
    assert [_read(text) for text in texts] == alone
    assert [_read(text) for text in texts] == alone
