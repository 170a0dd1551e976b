"""The book of workers: who is there since when, who was silent too long, and what each watcher has not heard yet.

Pure: times are arguments (seconds of any one clock), nothing waits, nothing is logged, no protos.
"""

from dataclasses import dataclass, field, replace

from bagel.errors import BagelError
from bagel.members import Load, Member, MemberState

NAMED = 3  # workers that a refusal names


class OtherModelError(BagelError):
    """A worker serves another model than those that are there."""


class StaleEpochError(BagelError):
    """A worker speaks of a membership that is over."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a watcher hears."""

    snapshot: bool
    changed: tuple[Member, ...]
    left: tuple[str, ...] = ()


@dataclass(slots=True)
class Follower:
    """What one watcher has not heard yet: at most one entry a worker, however slowly it reads."""

    _changed: dict[str, Member] = field(default_factory=dict)
    _left: set[str] = field(default_factory=set)

    @property
    def behind(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._changed or self._left)

    def take(self) -> Change:
        """Everything since the last time."""
        change = Change(False, tuple(self._changed.values()), tuple(sorted(self._left)))
        self._changed, self._left = {}, set()
        return change

    def note(self, worker_id: str, member: Member | None) -> None:
        """A worker joined or changed, or, without a member, left."""
        if member is None:
            self._changed.pop(worker_id, None)
            self._left.add(worker_id)
        else:
            self._left.discard(worker_id)
            self._changed[worker_id] = member


@dataclass(slots=True)
class _Entry:
    member: Member
    heard_s: float


class WorkerBook:
    """All workers of a registry. Not thread-safe."""

    def __init__(self, *, first_epoch: int, silence_s: float) -> None:
        """Epochs count up from `first_epoch`; a clock's nanoseconds are above all those of earlier books."""
        self._next_epoch = first_epoch
        self._silence_s = silence_s
        self._entries: dict[str, _Entry] = {}
        self._followers: list[Follower] = []

    def __len__(self) -> int:
        return len(self._entries)

    def members(self) -> tuple[Member, ...]:
        """Everybody, in the order in which they joined."""
        return tuple(entry.member for entry in self._entries.values())

    def join(self, candidate: Member, now_s: float) -> tuple[Member, Member | None]:
        """A worker comes: as it stands in the book with its epoch, and the one of that id whose place it took.

        Raises OtherModelError unless it serves the model of all the others.
        """
        self._require_one_model(candidate)
        member = replace(candidate, epoch=self._next_epoch)
        self._next_epoch += 1
        replaced = self._entries.pop(candidate.worker_id, None)
        self._entries[member.worker_id] = _Entry(member, now_s)
        self._tell(member.worker_id, member)
        return member, None if replaced is None else replaced.member

    def beat(self, worker_id: str, epoch: int, state: MemberState, load: Load, now_s: float) -> bool:
        """A worker is alive; whether its state is another, which followers hear. Raises StaleEpochError."""
        entry = self._entries.get(worker_id)
        if entry is None or entry.member.epoch != epoch:
            raise StaleEpochError(
                f"{worker_id} spoke with the stale epoch {epoch}"
                + (f"; its present one is {entry.member.epoch}" if entry else "; it is no member now")
                + "; join again"
            )
        changed = entry.member.state is not state
        entry.member, entry.heard_s = replace(entry.member, state=state, load=load), now_s
        if changed:
            self._tell(worker_id, entry.member)
        return changed

    def leave(self, worker_id: str, epoch: int) -> bool:
        """A worker goes; False when that membership was over already."""
        entry = self._entries.get(worker_id)
        if entry is None or entry.member.epoch != epoch:
            return False
        del self._entries[worker_id]
        self._tell(worker_id, None)
        return True

    def expire(self, now_s: float) -> list[Member]:
        """Remove those that were silent for longer than allowed."""
        silent = [e.member for e in self._entries.values() if now_s - e.heard_s > self._silence_s]
        for member in silent:
            self.leave(member.worker_id, member.epoch)
        return silent

    def follow(self) -> tuple[Change, Follower]:
        """Everybody now, and what will be noted from now on; until `unfollow`."""
        follower = Follower()
        self._followers.append(follower)
        return Change(True, self.members()), follower

    def unfollow(self, follower: Follower) -> None:
        """Note nothing more."""
        self._followers = [each for each in self._followers if each is not follower]

    def _tell(self, worker_id: str, member: Member | None) -> None:
        for follower in self._followers:
            follower.note(worker_id, member)

    def _require_one_model(self, candidate: Member) -> None:
        # All others agree: one says it for everybody.
        other = next((e.member for key, e in self._entries.items() if key != candidate.worker_id), None)
        if other is None or other.model_hash == candidate.model_hash:
            return
        holders = [key for key in self._entries if key != candidate.worker_id]
        named = ", ".join(holders[:NAMED]) + (f" and {len(holders) - NAMED} more" if len(holders) > NAMED else "")
        raise OtherModelError(
            f"{candidate.worker_id} serves {candidate.model_name} (hash {candidate.model_hash}), but {named} serve"
            f"{'s' if len(holders) == 1 else ''} {other.model_name} (hash {other.model_hash}): start all workers of one"
            " registry with the same --model, --load-format and --revision, or stop the others first"
        )
