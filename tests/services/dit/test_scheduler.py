"""The DiT's scheduler: load, steps, decoding, picture by picture; bounds, deadlines, removal at every phase."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bagel.errors import OverloadedError, RequestError
from services.dit.scheduler import Job, Phase, Scheduler, Work


def _job(request_id: str = "r", *, steps: int = 2, pictures: int = 1, deadline_s: float = 1000.0) -> Job:
    return Job(request_id=request_id, steps=steps, pictures=pictures, deadline_s=deadline_s)


def _submit(scheduler: Scheduler, job: Job) -> int:
    """Submit a request whose context is here at once."""
    position = scheduler.submit(job)
    scheduler.fetched(job.request_id)
    return position


def _run_all(scheduler: Scheduler, now_s: float = 0.0) -> list[Work]:
    executed: list[Work] = []
    while work := scheduler.schedule(now_s).work:
        (piece,) = work
        executed.append(piece)
        scheduler.done(piece)
    return executed


def test_a_picture_is_loaded_stepped_and_decoded() -> None:
    scheduler = Scheduler(max_queue=4, max_num_seqs=1)
    assert _submit(scheduler, _job(steps=3)) == 0

    assert _run_all(scheduler) == [
        Work("r", Phase.LOAD, 0, 0),
        Work("r", Phase.STEP, 0, 0),
        Work("r", Phase.STEP, 0, 1),
        Work("r", Phase.STEP, 0, 2),
        Work("r", Phase.DECODE, 0, 0),
    ]
    assert (scheduler.running, scheduler.queued) == (0, 0)


def test_several_pictures_are_drawn_from_one_context() -> None:
    scheduler = Scheduler(max_queue=4, max_num_seqs=1)
    _submit(scheduler, _job(steps=1, pictures=3))

    executed = _run_all(scheduler)
    assert [(work.phase, work.picture) for work in executed] == [
        (Phase.LOAD, 0),
        (Phase.STEP, 0), (Phase.DECODE, 0), (Phase.STEP, 1), (Phase.DECODE, 1), (Phase.STEP, 2), (Phase.DECODE, 2),
    ]  # fmt: skip


def test_requests_run_one_after_another_in_the_order_of_arrival() -> None:
    scheduler = Scheduler(max_queue=4, max_num_seqs=1)
    assert [_submit(scheduler, _job(name, steps=1)) for name in "abc"] == [0, 1, 2]

    assert "".join(work.request_id for work in _run_all(scheduler)) == "aaabbbccc"


def test_asking_twice_without_an_outcome_gives_the_same_work() -> None:
    scheduler = Scheduler(max_queue=4, max_num_seqs=1)
    _submit(scheduler, _job())

    assert scheduler.schedule(0.0) == scheduler.schedule(0.0)
    assert (scheduler.running, scheduler.queued) == (1, 0)


def test_a_full_queue_refuses_and_the_running_request_does_not_count() -> None:
    scheduler = Scheduler(max_queue=1, max_num_seqs=1)
    _submit(scheduler, _job("a"))
    scheduler.schedule(0.0)
    _submit(scheduler, _job("b"))
    with pytest.raises(OverloadedError):
        _submit(scheduler, _job("c"))
    assert scheduler.queued == 1


@pytest.mark.parametrize("started", [False, True])
def test_the_same_request_is_not_taken_twice(started: bool) -> None:
    scheduler = Scheduler(max_queue=4, max_num_seqs=1)
    _submit(scheduler, _job("a"))
    if started:
        scheduler.schedule(0.0)
    with pytest.raises(RequestError, match="already here"):
        _submit(scheduler, _job("a"))


def test_an_outcome_that_comes_twice_or_late_counts_once() -> None:
    scheduler = Scheduler(max_queue=4, max_num_seqs=1)
    _submit(scheduler, _job(steps=3))
    scheduler.schedule(0.0)
    load, step = Work("r", Phase.LOAD, 0, 0), Work("r", Phase.STEP, 0, 0)
    for work in (load, load, step, load, step):
        scheduler.done(work)

    assert scheduler.schedule(0.0).work == (Work("r", Phase.STEP, 0, 1),)


def test_deadlines_expire_waiting_and_running_requests() -> None:
    scheduler = Scheduler(max_queue=4, max_num_seqs=1)
    _submit(scheduler, _job("running", deadline_s=10.0))
    scheduler.schedule(0.0)
    _submit(scheduler, _job("late", deadline_s=5.0))
    _submit(scheduler, _job("patient", deadline_s=99.0))

    assert scheduler.next_deadline_s() == 5.0
    assert scheduler.schedule(4.9).expired == ()
    assert scheduler.schedule(5.0).expired == ("late",)
    decision = scheduler.schedule(10.0)
    assert decision.expired == ("running",)
    assert decision.work == (Work("patient", Phase.LOAD, 0, 0),)
    assert scheduler.next_deadline_s() is None


@pytest.mark.parametrize("executed", range(8))
def test_a_request_can_be_removed_at_every_phase_and_the_next_one_starts(executed: int) -> None:
    scheduler = Scheduler(max_queue=4, max_num_seqs=1)
    _submit(scheduler, _job("gone", steps=2, pictures=2))
    _submit(scheduler, _job("next", steps=1))
    for _ in range(executed):
        (work,) = scheduler.schedule(0.0).work
        scheduler.done(work)

    scheduler.remove("gone")
    assert [work.phase for work in _run_all(scheduler)] == [Phase.LOAD, Phase.STEP, Phase.DECODE]


def test_the_outcome_of_a_request_that_is_gone_changes_nothing() -> None:
    scheduler = Scheduler(max_queue=4, max_num_seqs=1)
    _submit(scheduler, _job("gone"))
    (work,) = scheduler.schedule(0.0).work
    _submit(scheduler, _job("next"))
    scheduler.remove("gone")
    scheduler.schedule(0.0)
    scheduler.done(work)

    assert scheduler.schedule(0.0).work == (Work("next", Phase.LOAD, 0, 0),)


def test_a_waiting_request_can_be_removed_and_unknown_ones_are_ignored() -> None:
    scheduler = Scheduler(max_queue=4, max_num_seqs=1)
    for name in "abc":
        _submit(scheduler, _job(name, steps=1))
    scheduler.remove("b")
    scheduler.remove("nobody")

    assert "".join(work.request_id for work in _run_all(scheduler)) == "aaaccc"


def test_a_request_whose_context_is_not_here_yet_holds_up_nobody() -> None:
    scheduler = Scheduler(max_queue=4, max_num_seqs=1)
    scheduler.submit(_job("slow", steps=1))
    scheduler.submit(_job("quick", steps=1))
    assert scheduler.schedule(0.0).work == ()
    scheduler.fetched("quick")
    scheduler.fetched("nobody")

    assert {work.request_id for work in _run_all(scheduler)} == {"quick"}
    scheduler.fetched("slow")
    assert [work.request_id for work in _run_all(scheduler)] == ["slow"] * 3


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 30))),
        st.tuples(st.just("fetched"), st.integers(0, 10)),
        st.tuples(st.just("remove"), st.integers(0, 10)),
        st.tuples(st.just("work"), st.just(0)),
        st.tuples(st.just("look"), st.just(0)),
        st.tuples(st.just("wait"), st.just(0)),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=300)
@given(actions=ACTIONS, at_once=st.integers(1, 3))
def test_whatever_happens_so_many_run_at_once_and_all_come_to_an_end(
    actions: list[tuple[str, object]], at_once: int
) -> None:
    scheduler = Scheduler(max_queue=3, max_num_seqs=at_once)
    alive: list[str] = []  # taken, neither finished nor removed nor expired
    started: list[str] = []
    fetched: set[str] = set()
    submitted, now_s = 0, 0.0

    def look() -> tuple[Work, ...]:
        decision = scheduler.schedule(now_s)
        for name in decision.expired:
            alive.remove(name)
        assert len(decision.work) == min(at_once, len(fetched & set(alive)))
        for work in decision.work:
            if work.request_id not in started:
                assert work.phase is Phase.LOAD
                started.append(work.request_id)
        assert [name for name in started if name in alive] == [work.request_id for work in decision.work]
        assert scheduler.running + scheduler.queued == len(alive)
        return decision.work

    def execute() -> None:
        for work in look():
            before = scheduler.running
            scheduler.done(work)
            if scheduler.running < before:
                alive.remove(work.request_id)

    for action, value in actions:
        match action, value:
            case "submit", (steps, pictures, deadline_s):
                full = scheduler.queued == 3
                job = _job(f"r{submitted}", steps=steps, pictures=pictures, deadline_s=float(deadline_s))
                submitted += 1
                try:
                    scheduler.submit(job)
                    assert not full
                    alive.append(job.request_id)
                except OverloadedError:
                    assert full
            case "fetched", number:
                scheduler.fetched(f"r{number}")
                fetched.update({f"r{number}"} & set(alive))
            case "remove", number:
                scheduler.remove(f"r{number}")
                alive = [name for name in alive if name != f"r{number}"]
            case "work", _:
                execute()
            case "look", _:
                look()
            case "wait", _:
                now_s += 1.0
    for name in alive:
        scheduler.fetched(name)
        fetched.add(name)
    # A load, and for each of two pictures at most three steps and a decoding.
    for _ in range(9 * len(alive)):
        execute()
    assert alive == []
    assert (scheduler.running, scheduler.queued) == (0, 0)


def test_max_num_seqs_requests_are_denoised_in_turns_and_the_others_wait() -> None:
    scheduler = Scheduler(max_queue=4, max_num_seqs=2)
    for name in "abc":
        _submit(scheduler, _job(name, steps=2))
    steps = []
    while work := scheduler.schedule(0.0).work:
        assert len(work) <= 2
        steps.append("".join(f"{piece.request_id}{piece.phase.value[0]}" for piece in work))
        for piece in work:
            scheduler.done(piece)

    # l(oad), s(tep), d(ecode)
    assert steps == ["albl", "asbs", "asbs", "adbd", "cl", "cs", "cs", "cd"]
    assert (scheduler.running, scheduler.queued) == (0, 0)


def test_a_seat_goes_to_the_first_whose_context_is_here() -> None:
    scheduler = Scheduler(max_queue=4, max_num_seqs=2)
    _submit(scheduler, _job("a"))
    scheduler.submit(_job("slow"))
    _submit(scheduler, _job("b"))
    assert [work.request_id for work in scheduler.schedule(0.0).work] == ["a", "b"]
    assert (scheduler.running, scheduler.queued) == (2, 1)
