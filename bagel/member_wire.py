"""Members of a registry <-> protos, both ways, once. As `bagel.wire`, for `registry.proto` alone."""

from bagel.errors import RequestError
from bagel.members import Kind, Load, Member, MemberState
from bagel.v1 import registry_pb2, settings_pb2

ID_CHARACTERS = 256
_KINDS = {Kind.THINKER: registry_pb2.STAGE_KIND_THINKER, Kind.DIT: registry_pb2.STAGE_KIND_DIT}
_STATES = {
    MemberState.LOADING: settings_pb2.STAGE_STATE_LOADING,
    MemberState.READY: settings_pb2.STAGE_STATE_READY,
    MemberState.DRAINING: settings_pb2.STAGE_STATE_DRAINING,
    MemberState.FAILED: settings_pb2.STAGE_STATE_FAILED,
}
_KIND_OF = {number: kind for kind, number in _KINDS.items()}
_STATE_OF = {number: state for state, number in _STATES.items()}


def member_to_proto(member: Member) -> registry_pb2.Worker:
    """A member as a message."""
    return registry_pb2.Worker(
        worker_id=member.worker_id,
        kind=_KINDS[member.kind],
        address=member.address,
        model_name=member.model_name,
        model_hash=member.model_hash,
        boot_epoch=member.boot_epoch,
        epoch=member.epoch,
        state=_STATES[member.state],
        load=load_to_proto(member.load),
    )


def member_from_proto(message: registry_pb2.Worker) -> Member:
    """A message as a member. Raises RequestError naming the field that is missing or unknown."""
    if not (0 < len(message.worker_id) <= ID_CHARACTERS and _plain(message.worker_id)):
        raise RequestError(f"a worker's id is 1 to {ID_CHARACTERS} characters without blanks", param="worker_id")
    if message.kind not in _KIND_OF:
        raise RequestError(f"a worker of an unknown kind ({message.kind})", param="kind")
    for name, value in (("address", message.address), ("model_hash", message.model_hash)):
        if not value or not _plain(value):
            raise RequestError(f"a worker needs its {name}, without blanks", param=name)
    if not message.boot_epoch:
        raise RequestError("a worker needs its boot_epoch", param="boot_epoch")
    return Member(
        worker_id=message.worker_id,
        kind=_KIND_OF[message.kind],
        address=message.address,
        model_name=message.model_name,
        model_hash=message.model_hash,
        boot_epoch=message.boot_epoch,
        epoch=message.epoch,
        state=state_from_proto(message.state),
        load=load_from_proto(message.load),
    )


def state_to_proto(state: MemberState) -> settings_pb2.StageState:
    """A state as a number."""
    return _STATES[state]


def state_from_proto(state: settings_pb2.StageState) -> MemberState:
    """A number as a state; loading unless it is known."""
    return _STATE_OF.get(state, MemberState.LOADING)


def load_to_proto(load: Load) -> registry_pb2.Load:
    """A load as a message."""
    return registry_pb2.Load(running=load.running, queued=load.queued, free_pages=load.free_pages)


def load_from_proto(message: registry_pb2.Load) -> Load:
    """A message as a load."""
    return Load(running=message.running, queued=message.queued, free_pages=message.free_pages)


def _plain(text: str) -> bool:
    return text.isprintable() and " " not in text
