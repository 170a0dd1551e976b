"""What every gRPC server does alike."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bagel.limits import DEADLINE_S
from bagel.rpc import remaining_s


@pytest.mark.parametrize(("sent", "left"), [(None, DEADLINE_S.most), (5.0, 5.0), (1e9, DEADLINE_S.most)])
def test_a_deadline_that_is_too_far_or_missing_is_brought_forward(sent: float | None, left: float) -> None:
    assert remaining_s(cast(Any, SimpleNamespace(time_remaining=lambda: sent))) == left
