"""What a target exposes becomes series: formats, limits, labels, ends and bounds (S1, S10)."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import pytest

from aiops.adapters.scrape.buffer import BufferFull
from aiops.adapters.scrape.client import Fetched
from aiops.adapters.scrape.exposition import names, samples
from aiops.adapters.scrape.options import Target
from aiops.adapters.scrape.scraper import Scraping
from aiops.errors import ConfigurationError
from tests.unit.scraped import T0, URL, Exporter, buffer, filled, labels, values

PLAIN, OPEN = "text/plain; version=0.0.4; charset=utf-8", "application/openmetrics-text; version=1.0.0"


def read(text: str, content_type: str = PLAIN, *patterns: str):
    found = samples(text.encode(), content_type, names(patterns))
    return [(one.name, one.labels, one.value, one.at_ms) for one in found]


# -- formats -----------------------------------------------------------------------------------------------


def test_names_stay_as_they_are_exposed_whatever_their_type():
    text = '# HELP hits help\n# TYPE hits counter\nhits{path="/a\\"b\\\\c\\nd"} 3\n'
    text += "# TYPE all_total counter\nall_total 4e3 1700000000123\n"
    assert read(text) == [("hits", {"path": '/a"b\\c\nd'}, 3.0, None), ("all_total", {}, 4000.0, 1_700_000_000_123)]


def test_histograms_infinities_and_nan_are_read():
    text = '# TYPE h histogram\nh_bucket{le="+Inf"} 3\nh_sum NaN\nh_count 3\nx -Inf\r\n\n'
    found = read(text)
    assert [name for name, *_ in found] == ["h_bucket", "h_sum", "h_count", "x"]
    assert math.isnan(found[1][2])
    assert found[3][2] == -math.inf


def test_openmetrics_is_read_with_its_seconds_and_needs_its_end():
    text = '# TYPE hits counter\nhits_total{a="b"} 3 1700000000.5 # {trace_id="x"} 1\n# EOF\n'
    assert read(text, OPEN) == [("hits_total", {"a": "b"}, 3.0, 1_700_000_000_500)]
    with pytest.raises(ValueError, match="EOF"):
        read(text.replace("# EOF\n", ""), OPEN)


def test_only_wanted_names_are_read_and_what_is_left_out_is_not_parsed():
    assert [one[0] for one in read("up 1\nnode_load1 2\nthis is nonsense\n", PLAIN, "node_.*", "up")] == [
        "up",
        "node_load1",
    ]


@pytest.mark.parametrize("text", ['a{b="c" 1\n', "a one\n", 'a{b="1",b="2"} 1\n', "1a 2\n", "a 1 1e400\n", "a 1 NaN\n"])
@pytest.mark.parametrize("kind", [PLAIN, OPEN])
def test_what_is_malformed_is_refused(text, kind):
    with pytest.raises(ValueError):  # noqa: PT011  # the parser's own words
        read(text + "# EOF\n" * (kind == OPEN), kind)


@pytest.mark.parametrize("mark", ["\u2028", "\x85", "\x0b", "\x1e"])
@pytest.mark.parametrize("kind", [PLAIN, OPEN])
def test_a_label_may_have_whatever_else_ends_a_line_in_unicode(mark, kind):
    text = f'a{{b="c{mark}up 0"}} 1\n' + "# EOF\n" * (kind == OPEN)
    assert read(text, kind) == [("a", {"b": f"c{mark}up 0"}, 1.0, None)]


@pytest.mark.parametrize("kind", [PLAIN, OPEN])
def test_a_line_without_end_is_refused_before_it_is_parsed_s10(kind):
    """Parsing takes the square of the number of labels: minutes for what fits into max_bytes."""
    text = "a{" + ",".join(f'l{number}="v"' for number in range(20_000)) + "} 1\n"
    with pytest.raises(ValueError, match="a line of more than 65536 characters"):
        read(text + "# EOF\n" * (kind == OPEN), kind)


def test_a_page_of_html_is_told_from_metrics():
    with pytest.raises(ValueError, match="a page of HTML"):
        read("<html>", "text/html; charset=utf-8")


# -- targets -----------------------------------------------------------------------------------------------


def test_a_series_has_the_labels_of_its_target_and_keeps_its_own_as_exported():
    exporter, made = Exporter(text='hits{job="mine",instance="",path="/"} 1\n'), buffer()
    exporter.target = replace(exporter.target, labels={"zone": "west"})
    assert exporter.scraping(made).scrape(T0)
    assert values(made, "hits", 0) == {
        "__name__=hits,exported_job=mine,instance=10.0.0.9:9100,job=node,path=/,zone=west": 1.0
    }


def test_up_and_its_companions_are_written_with_every_scrape():
    exporter, made = Exporter(text="a 1\nb 2\n"), buffer()
    one = exporter.scraping(made)
    assert one.scrape(T0)
    assert values(made, 'sum(up{job="node"})', 0) == {"": 1.0}
    assert values(made, "sum(scrape_samples_scraped)", 0) == {"": 2.0}
    exporter.wrong = "answers 503"
    assert not one.scrape(T0 + 15_000)
    assert values(made, "sum(up)", 15) == {"": 0.0}
    assert one.why == "answers 503"


def test_what_is_gone_from_an_answer_has_ended_at_once_and_may_come_back():
    exporter, made = Exporter(text='a{x="1"} 1\na{x="2"} 2\n'), buffer()
    one = exporter.scraping(made)
    one.scrape(T0)
    exporter.text = 'a{x="1"} 3\n'
    one.scrape(T0 + 15_000)
    assert values(made, "sum by (x) (a)", 14.9) == {"x=1": 1.0, "x=2": 2.0}
    assert values(made, "sum by (x) (a)", 15) == {"x=1": 3.0}
    exporter.text = 'a{x="2"} 5\n'
    one.scrape(T0 + 30_000)
    assert values(made, "sum by (x) (a)", 30) == {"x=2": 5.0}
    assert values(made, "count by (x) (count_over_time(a[1m]))", 30) == {"x=1": 1.0, "x=2": 1.0}


def test_a_target_that_fails_ends_all_of_its_series_and_none_of_others():
    first, second, made = Exporter(text="a 1\n"), Exporter(text="a 2\n"), buffer()
    second.target = Target(job="other", url=URL)
    one, other = first.scraping(made), second.scraping(made)
    one.scrape(T0)
    other.scrape(T0)
    first.wrong = "cannot be reached"
    one.scrape(T0 + 1000)
    assert values(made, "sum by (job) (a)", 2) == {"job=other": 2.0}


def test_a_bug_in_reading_a_target_ends_its_series_and_is_down_s1(caplog):
    made, fails = buffer(), []

    def fetch() -> Fetched:
        if fails:
            raise RuntimeError("nobody expected this")
        return Fetched(body=b"a 1\n", content_type=PLAIN)

    one = Scraping(Target(job="node", url=URL), made, fetch)
    assert one.scrape(T0)
    fails.append(1)
    assert not one.scrape(T0 + 15_000)
    assert list(values(made, "up", 15).values()) == [0.0]
    assert values(made, "a", 15) == {}, "what is not read any more has ended"
    assert one.why == "a bug, see the log"
    assert [bool(one.exc_info) for one in caplog.records if one.message == "scrape_failed"] == [True]


def test_samples_that_say_when_they_were_taken_end_by_their_age_and_not_by_a_mark():
    exporter, made = Exporter(text=f"a 1 {T0 - 60_000}\n"), buffer()
    one = exporter.scraping(made)
    one.scrape(T0)
    exporter.text = ""
    one.scrape(T0 + 15_000)
    assert values(made, "a", 200) != {}
    assert values(made, "a", 241) == {}
    assert values(made, "sum(timestamp(a))", 0) == {"": T0 / 1000 - 60}


def test_a_sample_of_a_time_to_come_is_not_believed():
    exporter, made = Exporter(text=f"a 1 {T0 + 900_000}\nb 1\n"), buffer()
    assert exporter.scraping(made).scrape(T0)
    assert values(made, 'count({job="node",__name__=~"a|b"})', 900) == {}
    assert made.extent_ms() == (T0, T0)


@pytest.mark.parametrize(
    ("text", "changes", "why"),
    [
        ("a 1\nb 2\nc 3\n", {"max_samples": 2}, "more than 2 samples (max_samples)"),
        ("a one\n", {}, "tells what is no metrics format"),
        ("".join(f'a{{x="{number}"}} 1\n' for number in range(200)), {}, "are new; at most 100 are kept"),
    ],
)
def test_an_answer_that_is_too_much_or_malformed_fails_as_a_whole(text, changes, why):
    exporter, made = Exporter(text=text), buffer()
    exporter.target = replace(exporter.target, **changes)
    one = exporter.scraping(made)
    assert not one.scrape(T0)
    assert why in one.why
    assert values(made, "up", 0) == {"__name__=up,instance=10.0.0.9:9100,job=node": 0.0}
    assert values(made, "count(a)", 0) == {}


def test_credentials_do_not_stand_in_a_url():
    with pytest.raises(ConfigurationError, match=r"jobs\.node: credentials"):
        Target(job="node", url="http://me:secret@host/metrics")


# -- bounds ------------------------------------------------------------------------------------------------


def test_a_sample_that_is_not_newer_is_refused():
    made = filled({labels("a"): [(0, 1.0), (0, 2.0), (-5, 3.0), (5, 4.0)]})
    assert made.size() == (1, 2)
    assert values(made, "sum(sum_over_time(a[1m]))", 5) == {"": 5.0}


def test_the_number_of_samples_is_bounded_and_the_oldest_go():
    made = buffer(max_samples=20_000)
    for first in range(0, 40_000, 100):
        made.add([(labels("a"), T0 + number * 1000, float(number)) for number in range(first, first + 100)])
    assert made.size()[1] <= 20_000
    assert values(made, "a", 39_999) == {"__name__=a": 39_999.0}
    made.prune(T0 + 40_000_000)
    assert made.extent_ms()[0] > T0 + 20_000_000


def test_series_that_ended_first_make_room_for_new_ones_and_living_ones_never_do():
    made = buffer(max_series=10)
    old = [labels("a", x=str(number)) for number in range(10)]
    made.add([(one, T0, 1.0) for one in old])
    with pytest.raises(BufferFull, match="10 series live and 1 are new; at most 10"):
        made.add([(labels("b"), T0 + 1000, 1.0)])
    made.end(old[3:5], T0 + 2000)
    made.add([(labels("b"), T0 + 3000, 1.0)])
    assert sorted(values(made, "group by (x) (last_over_time(a[5m]))", 3)) == [
        f"x={n}" for n in (0, 1, 2, 4, 5, 6, 7, 8, 9)
    ]


def test_churn_for_days_leaves_nothing_behind():
    made = buffer(max_series=50, keep_s=600.0)
    for number in range(500):
        one = labels("a", pod=f"p{number}")
        made.add([(one, T0 + number * 60_000, 1.0)])
        made.end([one], T0 + number * 60_000 + 30_000)
        made.prune(T0 + number * 60_000)
    assert made.size()[0] <= 50
    assert values(made, "count(count_over_time(a[5m]))", 499 * 60) == {"": 5.0}


def test_reading_and_writing_at_once_sees_whole_scrapes():
    made, wrong = buffer(), []
    both = [labels("a", x="1"), labels("a", x="2")]

    def write() -> None:
        for number in range(1000):
            made.add([(one, T0 + number, float(number)) for one in both])

    def look() -> None:
        while writer.is_alive():
            found = values(made, "a", 3)
            if len(set(found.values())) > 1:
                wrong.append(found)

    writer = threading.Thread(target=write)
    reader = threading.Thread(target=look)
    writer.start()
    reader.start()
    writer.join()
    reader.join()
    assert wrong == []
