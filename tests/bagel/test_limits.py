"""The table of limits: every one is in it, the page is printed from it, the services are bound by it."""

import math

import pytest

from bagel import limits, limits_page
from bagel.errors import RequestError
from bagel.limits import Limit
from tests.processes import ROOT

LISTED = [limit for rows in limits.SECTIONS.values() for limit in rows]


def test_every_limit_is_in_the_table_once() -> None:
    named = [value for value in vars(limits).values() if isinstance(value, Limit)]
    assert sorted(map(id, LISTED)) == sorted(map(id, named))


def test_the_page_of_limits_is_what_the_table_prints() -> None:
    assert (ROOT / "docs/limits.md").read_text() == limits_page.page(), "docs/limits.md is stale: run `make limits`"


@pytest.mark.parametrize("limit", LISTED, ids=lambda limit: limit.what)
def test_a_limit_holds_somewhere_and_allows_both_of_its_ends(limit: Limit[int] | Limit[float]) -> None:
    assert limit.rest or limit.grpc
    least = 0 if limit.least is None else limit.least
    for value in (least, limit.most):
        limit.check("field", value)
    for value in (least - 1, limit.most + limit.most * 1e-3 + 1, math.nan, -math.inf):
        with pytest.raises(RequestError, match="must be between") as refused:
            limit.check("field", value)
        assert refused.value.param == "field"
