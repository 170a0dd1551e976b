"""The Thinker's scheduler under any interleaving of calls: one request at a time, and all come to an end."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bagel.contexts import Output
from bagel.errors import OverloadedError, RequestError
from services.thinker.scheduler import Decode, Job, Scheduler, Work

PLENTY = 100
JOBS = st.builds(
    lambda tokens, kind, deadline: (tokens, kind, deadline),
    st.lists(st.integers(1, 12), min_size=1, max_size=3),
    st.sampled_from(["text", "picture", "thought"]),
    st.integers(1, 40),
)
ACTIONS = st.lists(
    st.one_of(
        JOBS.map(lambda job: ("submit", job)),
        st.integers(0, 12).map(lambda number: ("remove", number)),
        st.booleans().map(lambda more: ("work", more)),
        st.integers(0, 12).map(lambda pages: ("look", pages)),
        st.just(("wait", 1)),
    ),
    max_size=40,
)


def _job_of(number: int, shape: tuple[list[int], str, int]) -> Job:
    tokens, kind, deadline_s = shape
    return Job(
        request_id=f"r{number}",
        node_tokens=tuple(tokens),
        thought_node=len(tokens) - 1 if kind == "thought" else None,
        decode_tokens=0 if kind == "picture" else 4,
        output=Output.TEXT if kind == "text" else Output.IMAGE,
        deadline_s=float(deadline_s),
    )


@settings(deadline=None, max_examples=300)
@given(actions=ACTIONS)
def test_whatever_happens_one_request_runs_at_a_time_and_all_come_to_an_end(actions: list[tuple[str, object]]) -> None:
    scheduler = Scheduler(num_pages=20, page_tokens=4, max_queue=4)
    alive: list[str] = []  # taken, neither finished nor removed nor expired
    started: list[str] = []
    submitted, now_s = 0, 0.0

    def look(free_pages: int) -> Work | None:
        decision = scheduler.schedule(now_s, free_pages)
        for name in decision.expired:
            alive.remove(name)
        assert len(decision.work) <= 1
        for work in decision.work:
            if work.request_id not in started:
                started.append(work.request_id)
            assert [name for name in started if name in alive] == [work.request_id]
        assert scheduler.running + scheduler.queued == len(alive)
        return decision.work[0] if decision.work else None

    def execute(more: bool) -> None:
        work = look(PLENTY)
        if work is None:
            return
        scheduler.done(work, more_tokens=isinstance(work, Decode) and more)
        if scheduler.running == 0:
            alive.remove(work.request_id)

    for action, value in actions:
        match action:
            case "submit":
                job, submitted = _job_of(submitted, value), submitted + 1
                full = scheduler.queued == 4
                try:
                    scheduler.submit(job)
                    assert not full
                    alive.append(job.request_id)
                except OverloadedError:
                    assert full
                except RequestError:
                    assert scheduler.demand_pages(job) > 20
            case "remove":
                scheduler.remove(f"r{value}")
                alive = [name for name in alive if name != f"r{value}"]
            case "work":
                execute(bool(value))
            case "look":
                look(int(str(value)))
            case "wait":
                now_s += 1.0
    # At most three nodes, one last token and a seal a request, each executed once.
    for _ in range(5 * len(alive)):
        execute(more=False)
    assert alive == []
    assert (scheduler.running, scheduler.queued) == (0, 0)
