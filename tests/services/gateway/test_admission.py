"""The line in front of the stages: bounded by cost, callers in turn, nobody lost, places and times that come true."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bagel.limits import WAITING_BYTES
from services.gateway.admission import Line, LineFullError, Wanted

MAX_COST = 6.0
SLOTS = 2


def line(max_cost: float = MAX_COST) -> Line:
    return Line(max_waiting_cost=max_cost, max_waiting_bytes=WAITING_BYTES.most)


def wanted(name: str, caller: str = "", cost: float = 1.0, num_bytes: int = 0) -> Wanted:
    return Wanted(request_id=name, caller=caller, cost=cost, num_bytes=num_bytes)


def filled(*names: str, callers: str | None = None) -> Line:
    """A line with one running and these waiting."""
    made = line(max_cost=100)
    made.offer(wanted("first"))
    assert made.start(1, 0.0) == ["first"]
    for name, caller in zip(names, callers or " " * len(names), strict=True):
        made.offer(wanted(name, caller))
    return made


def drained(made: Line) -> list[str]:
    started, running = [], "first"
    while True:
        made.leave(running, 0.0, completed=True)
        began = made.start(1, 0.0)
        if not began:
            return started
        started += began
        running = began[0]


def test_requests_of_one_caller_begin_in_the_order_in_which_they_came() -> None:
    assert drained(filled("a", "b", "c")) == ["a", "b", "c"]


def test_callers_take_turns() -> None:
    assert drained(filled("a1", "a2", "a3", "b1", "c1", callers="aaabc")) == ["a1", "b1", "c1", "a2", "a3"]


def test_a_line_is_bounded_by_cost_not_by_number() -> None:
    made = line(max_cost=3)
    for index in range(12):
        made.offer(wanted(f"small{index}", cost=0.25))
    with pytest.raises(LineFullError, match=r"12 requests of a cost of 3\.0"):
        made.offer(wanted("more", cost=0.25))


def test_what_costs_more_than_the_bound_may_wait_alone() -> None:
    made = line(max_cost=3)
    made.offer(wanted("huge", cost=200.0))
    with pytest.raises(LineFullError):
        made.offer(wanted("more", cost=0.25))


def test_the_bytes_of_those_who_wait_are_bounded_too() -> None:
    made = line(max_cost=100)
    made.offer(wanted("a", num_bytes=WAITING_BYTES.most))
    with pytest.raises(LineFullError):
        made.offer(wanted("b", num_bytes=1))
    made.offer(wanted("c"))


def test_times_come_from_what_was_completed() -> None:
    made = filled("a", "b")
    place = made.place("b")
    assert place is not None
    assert (place.position, place.eta_s) == (1, None)
    made.leave("first", 10.0, completed=True)  # a cost of 1 took 10 s
    made.start(1, 10.0)
    place = made.place("b")
    assert place is not None
    assert (place.position, place.eta_s) == (0, pytest.approx(10.0))


def test_a_refusal_says_when_there_should_be_room() -> None:
    made = line(max_cost=4)
    made.offer(wanted("first"))
    made.start(1, 0.0)
    for index in range(4):
        made.offer(wanted(f"{index}"))
    made.leave("first", 5.0, completed=True)
    with pytest.raises(LineFullError) as refused:
        made.offer(wanted("late", cost=2.0))
    assert refused.value.retry_after_s == pytest.approx(10.0)


def test_what_was_cancelled_tells_nothing_about_speed() -> None:
    made = filled("a")
    made.leave("first", 0.001, completed=False)
    place = made.place("a")
    assert place is not None
    assert place.eta_s is None


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0.25, 3)), max_size=12))
def test_the_told_order_is_the_order_in_which_they_begin(requests: list[tuple[str, float]]) -> None:
    made = line(max_cost=1000)
    for index, (caller, cost) in enumerate(requests):
        made.offer(wanted(f"{index}", caller, cost))
    told = [each.request_id for each in made.order()]
    began: list[str] = []
    while started := made.start(1, 0.0):
        began += started
        made.leave(started[0], 0.0, completed=True)
    assert began == told


class LineUnderRandomUse(RuleBasedStateMachine):
    """Any sequence of coming, beginning, ending and leaving keeps the line's promises."""

    def __init__(self) -> None:
        super().__init__()
        self.line = line()
        self.now_s, self.count = 0.0, 0
        self.waits: dict[str, Wanted] = {}
        self.runs: set[str] = set()

    @rule(caller=st.sampled_from("abc"), cost=st.sampled_from([0.25, 0.5, 1, 2, 8]))
    def comes(self, caller: str, cost: float) -> None:
        self.count += 1
        request = wanted(f"{self.count}", caller, cost)
        before = sum(each.cost for each in self.waits.values())
        if self.waits and before + cost > MAX_COST:
            with pytest.raises(LineFullError) as refused:
                self.line.offer(request)
            assert refused.value.retry_after_s > 0
        else:
            self.line.offer(request)
            self.waits[request.request_id] = request

    @rule(passed_s=st.floats(0, 5))
    def begin(self, passed_s: float) -> None:
        self.now_s += passed_s
        free = SLOTS - len(self.runs)
        began = self.line.start(SLOTS, self.now_s)
        assert len(began) == min(free, len(self.waits))
        for request_id in began:
            del self.waits[request_id]
            self.runs.add(request_id)

    @precondition(lambda self: self.waits or self.runs)
    @rule(data=st.data(), completed=st.booleans(), passed_s=st.floats(0, 5))
    def ends(self, data: st.DataObject, completed: bool, passed_s: float) -> None:
        self.now_s += passed_s
        request_id = data.draw(st.sampled_from(sorted({*self.waits, *self.runs})))
        self.line.leave(request_id, self.now_s, completed=completed and request_id in self.runs)
        self.waits.pop(request_id, None)
        self.runs.discard(request_id)

    @invariant()
    def nobody_is_lost(self) -> None:
        assert {each.request_id for each in self.line.order()} == set(self.waits)
        assert (self.line.waiting, self.line.running) == (len(self.waits), len(self.runs))
        assert len(self.runs) <= SLOTS
        places = [self.line.place(request_id) for request_id in self.waits]
        assert sorted(place.position for place in places if place) == list(range(len(self.waits)))
        assert all(place and (place.eta_s is None or place.eta_s >= 0) for place in places)
        assert all(self.line.place(request_id) is None for request_id in self.runs)


TestLineUnderRandomUse = LineUnderRandomUse.TestCase
