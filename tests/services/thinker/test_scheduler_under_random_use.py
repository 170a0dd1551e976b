"""The Thinker's scheduler under any interleaving of calls: no more at once than may be, and all come to an end."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bagel.contexts import Output
from bagel.errors import OverloadedError, RequestError
from services.thinker.scheduler import Bounds, Decode, Job, Prefill, Scheduler, Work

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
        picture_nodes=frozenset({0} if kind == "picture" else ()),
        thought_node=len(tokens) - 1 if kind == "thought" else None,
        decode_tokens=0 if kind == "picture" else 4,
        output=Output.TEXT if kind == "text" else Output.IMAGE,
        deadline_s=float(deadline_s),
    )


@settings(deadline=None, max_examples=300)
@given(actions=ACTIONS, at_once=st.integers(1, 3), step_tokens=st.integers(1, 15))
def test_whatever_happens_requests_run_in_order_within_their_bounds_and_all_come_to_an_end(
    actions: list[tuple[str, object]], at_once: int, step_tokens: int
) -> None:
    scheduler = Scheduler(
        Bounds(num_pages=20, page_tokens=4, max_queue=4, max_num_seqs=at_once, max_num_batched_tokens=step_tokens)
    )
    alive: list[str] = []  # taken, neither finished nor removed nor expired
    jobs: dict[str, Job] = {}
    read: dict[str, int] = {}  # tokens of the node that a request is at
    submitted, now_s = 0, 0.0

    def look(free_pages: int) -> tuple[Work, ...]:
        decision = scheduler.schedule(now_s, free_pages)
        for name in decision.expired:
            alive.remove(name)
        at_work = [work.request_id for work in decision.work]
        assert len(set(at_work)) == len(at_work) <= scheduler.running <= at_once
        assert scheduler.running + scheduler.queued == len(alive)
        # Those that came first run, and somebody does whenever anybody runs.
        assert set(at_work) <= set(alive[: scheduler.running])
        assert bool(at_work) == bool(scheduler.running)
        check_step(decision.work)
        return decision.work

    def check_step(work: tuple[Work, ...]) -> None:
        prefills = [piece for piece in work if isinstance(piece, Prefill)]
        sizes = [size(piece) for piece in prefills]
        whole = [jobs[piece.request_id].node_tokens[piece.node] for piece in prefills if piece.node == 0]
        assert sum(sizes) <= max(step_tokens, *whole, 0), "only a picture is larger than a step"
        for piece in prefills:
            assert piece.tokens is None or piece.node not in jobs[piece.request_id].picture_nodes

    def size(piece: Prefill) -> int:
        left = jobs[piece.request_id].node_tokens[piece.node] - read.get(piece.request_id, 0)
        return left if piece.tokens is None else piece.tokens

    def execute(more: bool) -> None:
        for work in look(PLENTY):
            before = scheduler.running
            if isinstance(work, Prefill) and work.tokens is not None:
                read[work.request_id] = read.get(work.request_id, 0) + work.tokens
                scheduler.done(work, more_tokens=True)
            else:
                read.pop(work.request_id, None) if isinstance(work, Prefill) else None
                scheduler.done(work, more_tokens=isinstance(work, Decode) and more)
            if scheduler.running < before:
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
                    jobs[job.request_id] = job
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
    # At most 36 tokens, one last token and a seal a request, one piece of someone's a step at least.
    for _ in range(40 * len(alive)):
        execute(more=False)
    assert alive == []
    assert (scheduler.running, scheduler.queued) == (0, 0)
