"""A list of tasks through a server, two at a time, so that the Thinker works on one while the DiT draws another."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from random import Random

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from training.evaluation.client import Answer, RequestFailed, ask
from training.evaluation.outcomes import Outcome, Sampling, failed, judged, request_of
from training.evaluation.tasks import Task

IN_FLIGHT = 2
_LINE_EVERY = 20  # tasks, where no terminal shows a bar


def run_tasks(url: str, tasks: Sequence[Task], sampling: Sampling, console: Console) -> list[Outcome]:
    """The outcomes in the order of the tasks. Texts and pictures are mixed on the way."""
    mixed = Random(0).sample(list(tasks), len(tasks))
    outcomes: dict[str, Outcome] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, *times, console=console, disable=not console.is_terminal) as progress,
        ThreadPoolExecutor(IN_FLIGHT) as pool,
    ):
        bar = progress.add_task("toy-eval", total=len(mixed))
        sent = {pool.submit(ask, url, request_of(task, sampling)): task for task in mixed}
        for future in as_completed(sent):
            task = sent[future]
            try:
                answer: Answer = future.result()
            except RequestFailed as error:
                outcomes[task.name] = failed(task, str(error))
            else:
                outcomes[task.name] = judged(task, answer)
            progress.advance(bar)
            if not console.is_terminal and len(outcomes) % _LINE_EVERY == 0:
                right = sum(outcome.verdict.ok for outcome in outcomes.values())
                console.print(f"{len(outcomes)} of {len(mixed)} tasks, {right} right")
    return [outcomes[task.name] for task in tasks]
