"""The book of workers: unit by unit, and against a plain model under random use."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bagel.members import Kind, Load, Member, MemberState
from services.registry.book import Follower, OtherModelError, StaleEpochError, WorkerBook

SILENCE_S = 10.0


def member(worker_id: str, model: str = "aaaa") -> Member:
    return Member(
        worker_id=worker_id,
        kind=Kind.DIT,
        address=f"{worker_id}:1",
        model_name=f"model-{model}",
        model_hash=model,
        boot_epoch=1,
    )


def book() -> WorkerBook:
    return WorkerBook(first_epoch=100, silence_s=SILENCE_S)


def heard(follower: Follower, known: dict[str, Member]) -> None:
    """What a watcher makes of what it is told."""
    change = follower.take()
    known.update({each.worker_id: each for each in change.changed})
    for worker_id in change.left:
        known.pop(worker_id, None)


def test_epochs_increase_and_an_older_membership_is_stale() -> None:
    workers = book()
    first, nobody = workers.join(member("a"), 0.0)
    second, replaced = workers.join(member("a"), 1.0)
    assert (nobody, replaced) == (None, first)
    assert first.epoch < second.epoch
    with pytest.raises(StaleEpochError, match=rf"stale epoch {first.epoch}; its present one is {second.epoch}"):
        workers.beat("a", first.epoch, MemberState.READY, Load(), 2.0)
    assert not workers.leave("a", first.epoch)
    assert workers.members() == (second,)


def test_another_model_is_refused_by_both_names_and_hashes_and_by_who_has_which() -> None:
    workers = book()
    for worker_id in "bcdef":
        workers.join(member(worker_id), 0.0)
    with pytest.raises(OtherModelError) as refused:
        workers.join(member("x", "bbbb"), 1.0)
    for said in ("x serves model-bbbb (hash bbbb)", "b, c, d and 2 more serve model-aaaa (hash aaaa)", "--model"):
        assert said in str(refused.value)


def test_a_worker_that_is_alone_may_come_back_with_another_model() -> None:
    workers = book()
    workers.join(member("a"), 0.0)
    joined, _ = workers.join(member("a", "bbbb"), 1.0)
    assert joined.model_hash == "bbbb"


def test_heartbeats_are_told_only_when_the_state_changes() -> None:
    workers = book()
    joined, _ = workers.join(member("a"), 0.0)
    _, follower = workers.follow()
    assert not workers.beat("a", joined.epoch, MemberState.LOADING, Load(running=1), 1.0)
    assert not follower.behind
    assert workers.beat("a", joined.epoch, MemberState.READY, Load(running=2), 2.0)
    assert follower.take().changed == (replace(joined, state=MemberState.READY, load=Load(running=2)),)


def test_a_worker_that_came_and_went_between_two_looks_is_told_as_gone() -> None:
    workers = book()
    _, follower = workers.follow()
    joined, _ = workers.join(member("a"), 0.0)
    workers.leave("a", joined.epoch)
    change = follower.take()
    assert (change.changed, change.left) == ((), ("a",))
    workers.join(member("a"), 1.0)
    workers.unfollow(follower)
    workers.join(member("b"), 2.0)
    assert [each.worker_id for each in follower.take().changed] == ["a"]


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["join", "beat", "leave", "wait", "hear"]),
        st.sampled_from("abc"),
        st.sampled_from(["aaaa", "bbbb"]),
        st.integers(0, 8),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(ACTIONS)
def test_random_use_agrees_with_a_plain_model(actions: list[tuple[str, str, str, int]]) -> None:
    workers, now_s = book(), 0.0
    present: dict[str, tuple[Member, float]] = {}  # and when it was heard last
    epochs: list[int] = []
    change, follower = workers.follow()
    known = {each.worker_id: each for each in change.changed}
    for action, worker_id, model, number in actions:
        match action:
            case "join":
                others = {m.model_hash for key, (m, _) in present.items() if key != worker_id}
                if others - {model}:
                    with pytest.raises(OtherModelError):
                        workers.join(member(worker_id, model), now_s)
                    continue
                joined, replaced = workers.join(member(worker_id, model), now_s)
                assert replaced == (present[worker_id][0] if worker_id in present else None)
                epochs.append(joined.epoch)
                present[worker_id] = joined, now_s
            case "beat":
                epoch = epochs[-1 - number % len(epochs)] if epochs else 0
                state = list(MemberState)[number % 4]
                if worker_id not in present or present[worker_id][0].epoch != epoch:
                    with pytest.raises(StaleEpochError):
                        workers.beat(worker_id, epoch, state, Load(), now_s)
                    continue
                was = present[worker_id][0]
                assert workers.beat(worker_id, epoch, state, Load(), now_s) == (was.state is not state)
                present[worker_id] = replace(was, state=state), now_s
            case "leave":
                epoch = epochs[-1 - number % len(epochs)] if epochs else 0
                held = worker_id in present and present[worker_id][0].epoch == epoch
                assert workers.leave(worker_id, epoch) == held
                if held:
                    del present[worker_id]
            case "wait":
                now_s += number
                silent = {key for key, (_, heard_s) in present.items() if now_s - heard_s > SILENCE_S}
                assert {each.worker_id for each in workers.expire(now_s)} == silent
                present = {key: value for key, value in present.items() if key not in silent}
            case _:
                heard(follower, known)
        assert {m.worker_id: m for m in workers.members()} == {key: m for key, (m, _) in present.items()}
    heard(follower, known)
    # Whenever it looked, the watcher knows the same in the end.
    assert known == {m.worker_id: m for m in workers.members()}
    assert epochs == sorted(set(epochs))
