"""What a Thinker takes: its tasks, and the length of a context. Pure checks, before a request is queued."""

from collections.abc import Iterable

from bagel.contexts import ContextPlan, Output
from bagel.errors import RequestError
from bagel.tasks import TaskKind, task_names, task_of
from services.thinker.scheduler import Job

# Around a thought that becomes part of a context.
MARKERS = 2


def check_task(output: Output, tasks: Iterable[TaskKind], *, pictures: bool) -> None:
    """Raise RequestError unless the task of such a request is one of those that the Thinker was started for."""
    wanted, served = task_of(output, pictures=pictures), tuple(tasks)
    if wanted not in served:
        raise RequestError(
            f"this Thinker does {', '.join(task_names(served))}, not {wanted.value}: ask one that was started with it"
            " (--tasks)"
        )


def check_length(job: Job, plan: ContextPlan, most_tokens: int) -> None:
    """Raise RequestError when a context of the request, with what is written, can be longer than `most_tokens`."""
    tokens = max(_tokens(job, plan.chain(role)) for role in plan.ends)
    if tokens > most_tokens:
        raise RequestError(
            f"the request needs up to {tokens} tokens of context, this server takes {most_tokens}: send fewer or"
            " smaller pictures, a shorter text, or a lower token limit",
            param="messages",
        )


def _tokens(job: Job, chain: Iterable[int]) -> int:
    """Tokens of a context. A thought counts as it is asked for: how it is encoded again is not known before."""
    thought = job.decode_tokens + MARKERS
    read = sum(thought if node == job.thought_node else job.node_tokens[node] for node in chain)
    return read + (job.decode_tokens if job.output is Output.TEXT else 0)
