"""The Thinker's scheduler: order of work, bounds, deadlines, removal at every phase."""

import pytest

from bagel.contexts import Output
from bagel.errors import OverloadedError, RequestError
from services.thinker.scheduler import Bounds, Decode, Job, Prefill, Scheduler, Seal, Work

PLENTY = 100


def _job(
    request_id: str = "r",
    *,
    node_tokens: tuple[int, ...] = (5, 9),
    picture_nodes: tuple[int, ...] = (),
    thought_node: int | None = None,
    decode_tokens: int = 0,
    output: Output = Output.IMAGE,
    deadline_s: float = 1000.0,
) -> Job:
    return Job(
        request_id=request_id,
        node_tokens=node_tokens,
        picture_nodes=frozenset(picture_nodes),
        thought_node=thought_node,
        decode_tokens=decode_tokens,
        output=output,
        deadline_s=deadline_s,
    )


def _scheduler(*, num_pages: int = PLENTY, max_queue: int = 8, at_once: int = 1, step_tokens: int = 1000) -> Scheduler:
    return Scheduler(
        Bounds(
            num_pages=num_pages, page_tokens=4, max_queue=max_queue, max_num_seqs=at_once,
            max_num_batched_tokens=step_tokens,
        )
    )  # fmt: skip


def _run_all(scheduler: Scheduler, *, tokens: int = 2, now_s: float = 0.0) -> list[Work]:
    """Execute until nothing is left; every decoding writes `tokens` tokens."""
    executed: list[Work] = []
    written = 0
    while work := scheduler.schedule(now_s, PLENTY).work:
        (piece,) = work
        executed.append(piece)
        written = written + 1 if isinstance(piece, Decode) else 0
        scheduler.done(piece, more_tokens=isinstance(piece, Decode) and written < tokens)
    return executed


def test_a_text_is_prefilled_node_by_node_and_then_decoded() -> None:
    scheduler = _scheduler()
    scheduler.submit(_job(output=Output.TEXT, decode_tokens=10))

    assert _run_all(scheduler, tokens=3) == [Prefill("r", 0), Prefill("r", 1), *[Decode("r")] * 3]
    assert (scheduler.running, scheduler.queued) == (0, 0)


def test_a_picture_is_prefilled_and_then_sealed_without_decoding() -> None:
    scheduler = _scheduler()
    scheduler.submit(_job(node_tokens=(5, 9, 2)))

    assert _run_all(scheduler) == [Prefill("r", 0), Prefill("r", 1), Prefill("r", 2), Seal("r")]
    assert scheduler.running == 0


def test_a_thought_is_decoded_before_its_node_and_the_nodes_after_it() -> None:
    scheduler = _scheduler()
    scheduler.submit(_job(node_tokens=(5, 9, 32, 7), thought_node=2, decode_tokens=10))

    assert _run_all(scheduler, tokens=2) == [
        Prefill("r", 0), Prefill("r", 1), Decode("r"), Decode("r"), Prefill("r", 2), Prefill("r", 3), Seal("r"),
    ]  # fmt: skip


def test_requests_run_one_after_another_in_the_order_of_arrival() -> None:
    scheduler = _scheduler()
    positions = [scheduler.submit(_job(name, node_tokens=(5,))) for name in "abc"]

    assert positions == [0, 1, 2]
    assert [work.request_id for work in _run_all(scheduler)] == ["a", "a", "b", "b", "c", "c"]


def test_asking_twice_without_an_outcome_gives_the_same_work() -> None:
    scheduler = _scheduler()
    scheduler.submit(_job())
    first = scheduler.schedule(0.0, PLENTY)

    assert scheduler.schedule(0.0, PLENTY) == first
    assert (scheduler.running, scheduler.queued) == (1, 0)


def test_a_full_queue_refuses_and_the_running_request_does_not_count() -> None:
    scheduler = _scheduler(max_queue=2)
    scheduler.submit(_job("a"))
    scheduler.schedule(0.0, PLENTY)
    scheduler.submit(_job("b"))
    scheduler.submit(_job("c"))
    with pytest.raises(OverloadedError):
        scheduler.submit(_job("d"))
    assert scheduler.queued == 2


@pytest.mark.parametrize("started", [False, True])
def test_the_same_request_is_not_taken_twice(started: bool) -> None:
    scheduler = _scheduler()
    scheduler.submit(_job("a"))
    if started:
        scheduler.schedule(0.0, PLENTY)
    with pytest.raises(RequestError, match="already here") as refused:
        scheduler.submit(_job("a"))
    assert refused.value.param == "request_id"


def test_a_request_that_never_fits_is_refused_when_it_comes() -> None:
    scheduler = _scheduler(num_pages=5)
    with pytest.raises(RequestError, match="up to 12 tokens of context, this server has room for 20") as refused:
        scheduler.submit(_job(node_tokens=(4, 4, 4)))
    assert refused.value.param == "messages"
    assert scheduler.queued == 0


def test_the_tokens_to_be_written_count_as_demand() -> None:
    scheduler = _scheduler(num_pages=6)
    scheduler.submit(_job("a", node_tokens=(4, 8)))
    with pytest.raises(RequestError):
        scheduler.submit(_job("b", node_tokens=(4, 8), decode_tokens=8, output=Output.TEXT))


def test_a_request_waits_until_the_pages_of_its_worst_case_are_free() -> None:
    scheduler = _scheduler()
    job = _job(node_tokens=(5, 9), decode_tokens=3, output=Output.TEXT)
    demand = scheduler.demand_pages(job)
    scheduler.submit(job)

    # Each of the three pieces begins within a page that may have to be copied.
    assert demand == (2 + 1) + (3 + 1) + (1 + 1)
    assert scheduler.schedule(0.0, demand - 1).work == ()
    assert (scheduler.running, scheduler.queued) == (0, 1)
    assert scheduler.schedule(0.0, demand).work == (Prefill("r", 0),)
    # Once it runs it holds pages itself, so it goes on whatever is free.
    scheduler.done(Prefill("r", 0))
    assert scheduler.schedule(0.0, 0).work == (Prefill("r", 1),)


def test_a_small_request_does_not_overtake_a_large_one() -> None:
    scheduler = _scheduler()
    scheduler.submit(_job("large", node_tokens=(200,)))
    scheduler.submit(_job("small", node_tokens=(1,)))

    assert scheduler.schedule(0.0, 10).work == ()


def test_deadlines_expire_waiting_and_running_requests() -> None:
    scheduler = _scheduler()
    scheduler.submit(_job("running", deadline_s=10.0))
    scheduler.schedule(0.0, PLENTY)
    scheduler.submit(_job("late", deadline_s=5.0))
    scheduler.submit(_job("patient", deadline_s=99.0))

    assert scheduler.next_deadline_s() == 5.0
    assert scheduler.schedule(4.9, PLENTY).expired == ()
    assert scheduler.schedule(5.0, PLENTY).expired == ("late",)
    decision = scheduler.schedule(10.0, PLENTY)
    assert decision.expired == ("running",)
    assert decision.work == (Prefill("patient", 0),)
    assert scheduler.next_deadline_s() is None


@pytest.mark.parametrize("steps", range(6))
def test_a_request_can_be_removed_at_every_phase_and_the_next_one_starts(steps: int) -> None:
    scheduler = _scheduler()
    scheduler.submit(_job("gone", node_tokens=(5, 30), thought_node=1, decode_tokens=10))
    scheduler.submit(_job("next", node_tokens=(5,)))
    for step in range(steps):
        (work,) = scheduler.schedule(0.0, PLENTY).work
        scheduler.done(work, more_tokens=step == 1)

    scheduler.remove("gone")
    assert [work.request_id for work in _run_all(scheduler)] == ["next", "next"]


def test_a_waiting_request_can_be_removed_and_unknown_ones_are_ignored() -> None:
    scheduler = _scheduler()
    for name in "abc":
        scheduler.submit(_job(name, node_tokens=(5,)))
    scheduler.remove("b")
    scheduler.remove("nobody")

    assert [work.request_id for work in _run_all(scheduler)] == ["a", "a", "c", "c"]


def test_the_outcome_of_a_request_that_is_gone_changes_nothing() -> None:
    scheduler = _scheduler()
    scheduler.submit(_job("gone"))
    (work,) = scheduler.schedule(0.0, PLENTY).work
    scheduler.remove("gone")
    scheduler.submit(_job("next"))
    assert scheduler.schedule(0.0, PLENTY).work == (Prefill("next", 0),)
    scheduler.done(work)

    assert scheduler.schedule(0.0, PLENTY).work == (Prefill("next", 0),)


def test_max_num_seqs_requests_take_turns_and_the_others_wait() -> None:
    scheduler = _scheduler(at_once=2)
    for name in "abc":
        scheduler.submit(_job(name, node_tokens=(5,)))

    assert scheduler.schedule(0.0, PLENTY).work == (Prefill("a", 0), Prefill("b", 0))
    assert (scheduler.running, scheduler.queued) == (2, 1)
    scheduler.done(Prefill("a", 0))
    scheduler.done(Seal("a"))
    # Whoever was not served comes first; a seat that is free is taken at once.
    assert scheduler.schedule(0.0, PLENTY).work == (Prefill("b", 0), Prefill("c", 0))


def test_a_second_request_starts_only_beside_all_that_the_first_may_still_take() -> None:
    scheduler = _scheduler(at_once=2)
    first, second = _job("a", node_tokens=(40,)), _job("b", node_tokens=(8,))
    first_demand, demand = scheduler.demand_pages(first), scheduler.demand_pages(second)
    scheduler.submit(first)
    scheduler.submit(second)

    def started(free: int, held: int) -> bool:
        return len(scheduler.schedule(0.0, free, lambda name: {"a": held}[name]).work) == 2

    assert not started(first_demand + demand - 1, 0)
    assert not started(first_demand - 4 + demand - 1, 4)
    assert started(first_demand - 4 + demand, 4), "what it holds already is no longer free, nor promised"


def test_a_text_longer_than_a_step_is_cut_and_a_shorter_one_is_not() -> None:
    scheduler = _scheduler(step_tokens=4)
    scheduler.submit(_job(node_tokens=(9, 4)))
    pieces = []
    for more in (True, True, False, False, False):
        (piece,) = scheduler.schedule(0.0, PLENTY).work
        scheduler.done(piece, more_tokens=more)
        pieces.append(piece)

    assert pieces == [Prefill("r", 0, 4), Prefill("r", 0, 4), Prefill("r", 0), Prefill("r", 1), Seal("r")]


def test_a_picture_is_computed_whole_however_few_tokens_a_step_has() -> None:
    scheduler = _scheduler(step_tokens=4)
    scheduler.submit(_job(node_tokens=(100,), picture_nodes=(0,)))
    assert scheduler.schedule(0.0, PLENTY).work == (Prefill("r", 0),)


def test_a_step_holds_no_more_tokens_than_it_may() -> None:
    scheduler = _scheduler(step_tokens=10, at_once=4)
    scheduler.submit(_job("text", node_tokens=(6,)))
    scheduler.submit(_job("writer", node_tokens=(1,), thought_node=0, decode_tokens=5))
    scheduler.submit(_job("long", node_tokens=(6,)))
    scheduler.submit(_job("late", node_tokens=(6,)))

    # Four tokens are left for the third, none for the fourth; a token to be written costs nothing here.
    work = (Prefill("text", 0), Decode("writer"), Prefill("long", 0, 4))
    assert scheduler.schedule(0.0, PLENTY).work == work
    for piece in work:
        scheduler.done(piece, more_tokens=not isinstance(piece, Prefill) or piece.tokens is not None)
    # Its turn comes first; two of the long text are left.
    assert scheduler.schedule(0.0, PLENTY).work == (
        Prefill("late", 0), Seal("text"), Decode("writer"), Prefill("long", 0),
    )  # fmt: skip


def test_a_picture_that_does_not_fit_beside_others_comes_first_in_the_next_step() -> None:
    scheduler = _scheduler(step_tokens=10, at_once=2)
    scheduler.submit(_job("text", node_tokens=(6, 6)))
    scheduler.submit(_job("picture", node_tokens=(30,), picture_nodes=(0,)))

    assert scheduler.schedule(0.0, PLENTY).work == (Prefill("text", 0),)
    scheduler.done(Prefill("text", 0))
    assert scheduler.schedule(0.0, PLENTY).work == (Prefill("picture", 0),)
    scheduler.done(Prefill("picture", 0))
    assert scheduler.schedule(0.0, PLENTY).work == (Prefill("text", 1), Seal("picture"))
