"""Tasks as requests, and answers as verdicts. Sends nothing itself."""

from dataclasses import dataclass

from PIL import Image

from training.evaluation.client import Answer, Json, Request
from training.evaluation.measurable import SIDE
from training.evaluation.tasks import Section, Task
from training.judge.changes import judge_edit
from training.judge.pictures import judge_picture
from training.judge.verdict import Verdict
from training.judge.words import answer_is_right, caption_is_right, thought_names
from training.world.render import render

STEPS = 16  # time points of the evaluation's pictures
MAX_TOKENS = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A task, what came back (nothing, where the request failed), and the judge's word."""

    task: Task
    answer: Answer | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How pictures are drawn; guidance is the server's own unless `text_scale` is set."""

    steps: int = STEPS
    text_scale: float | None = None


def input_picture(task: Task) -> Image.Image | None:
    """What goes to the server with the text."""
    if task.edit is not None:
        return render(task.edit.before, SIDE, SIDE)
    if task.scene is not None and task.section in (Section.CAPTIONS, Section.VQA):
        return render(task.scene, SIDE, SIDE)
    return None


def request_of(task: Task, sampling: Sampling) -> Request:
    """What the server is asked."""
    settings: Json
    if task.section in (Section.CAPTIONS, Section.VQA, Section.TEXT):
        settings = {"modalities": ["text"], "max_tokens": MAX_TOKENS}
    else:
        settings = {
            "modalities": ["image"], "height": SIDE, "width": SIDE, "seed": task.seed,
            "num_inference_steps": sampling.steps,
        }  # fmt: skip
        if sampling.text_scale is not None:
            settings["cfg_text_scale"] = sampling.text_scale
        if task.section is Section.THINK:
            settings |= {"think": True, "max_think_tokens": MAX_TOKENS}
    return Request(prompt=task.prompt, picture=input_picture(task), settings=settings)


def judged(task: Task, answer: Answer) -> Outcome:
    """An answer with the verdict on it."""
    return Outcome(task=task, answer=answer, verdict=_verdict(task, answer))


def failed(task: Task, reason: str) -> Outcome:
    """A task whose request failed."""
    return Outcome(task=task, answer=None, verdict=Verdict(reasons=(f"the request failed: {reason}",)))


def _verdict(task: Task, answer: Answer) -> Verdict:
    match task.section:
        case Section.CAPTIONS:
            assert task.scene is not None
            return _said(caption_is_right(answer.text, task.scene), answer.text, task.answer)
        case Section.VQA | Section.TEXT:
            assert task.answer is not None
            return _said(answer_is_right(answer.text, task.answer), answer.text, task.answer)
    if answer.picture is None:
        return Verdict(reasons=("no picture came",))
    if task.edit is not None:
        return judge_edit(render(task.edit.before, SIDE, SIDE), answer.picture, task.edit)
    assert task.scene is not None
    verdict = judge_picture(answer.picture, task.scene, task.asked)
    if task.section is Section.THINK and not thought_names(answer.text, task.scene):
        return Verdict(reasons=(f"the thought does not name the picture: {answer.text!r}", *verdict.reasons))
    return verdict


def _said(right: bool, text: str, expected: str | None) -> Verdict:
    return Verdict() if right else Verdict(reasons=(f"said {text!r}, not {expected!r}",))
