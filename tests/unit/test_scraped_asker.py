"""What was scraped, asked from several threads at once."""

from __future__ import annotations

from types import SimpleNamespace

from aiops.app.scraping import ScrapedAsker
from tests.unit.scraped import T0, filled, labels


def test_a_query_of_an_earlier_read_that_ends_late_disturbs_nobody_who_tidies():
    asker = ScrapedAsker(SimpleNamespace(buffer=filled({labels("up"): [(0, 1.0)]})))
    numbers = iter(range(100))

    class Late(set[str]):
        def __contains__(self, expr: object) -> bool:
            asker.instant(f"up + {next(numbers)}", T0 / 1000, many=True)  # as another thread would, right now
            return super().__contains__(expr)

    for expr in ("up", "up * 2", "up * 3"):
        asker.instant(expr, T0 / 1000, many=True)
    asker.keep(Late({"up"}))
    assert list(asker._shapes) == ["up"]
