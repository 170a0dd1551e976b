"""What happens to a task -> public gRPC events. Pure."""

from bagel.v1 import bagel_pb2, settings_pb2
from services.gateway.happenings import Drawn, Happening, ImageResult, Preview, Progress, TextDelta, TextResult, Waiting
from services.gateway.responses import Answer, usage
from services.gateway.tasks import Task

TaskEvent = bagel_pb2.TaskEvent


def accepted(request_id: str, task: Task) -> TaskEvent:
    """The first event."""
    return TaskEvent(accepted=bagel_pb2.Accepted(request_id=request_id, seed=task.seed))


def event_of(what: Happening) -> TaskEvent | None:
    """The event of one thing that happened; None for what only the end tells."""
    match what:
        case Waiting(position=position, eta_s=eta_s):
            return TaskEvent(in_line=bagel_pb2.InLine(position=position, eta_s=eta_s))
        case TextDelta(text=text):
            return TaskEvent(delta=bagel_pb2.WrittenText(text=text))
        case TextResult(text=text, finish_reason=reason):
            return TaskEvent(text=bagel_pb2.WrittenText(text=text, finish_reason=reason))
        case Progress(picture=picture, done=done, total=total):
            return TaskEvent(steps=bagel_pb2.StepsDone(picture=picture, done=done, total=total))
        case Preview():
            return TaskEvent(
                partial=bagel_pb2.PartialPicture(
                    picture=what.picture, index=what.index, image=_image(what.data), size=_size(what)
                )
            )
        case Drawn():
            return TaskEvent(
                picture=bagel_pb2.FinishedPicture(
                    picture=what.index, image=_image(what.data), size=_size(what), seed=what.seed
                )
            )
    return None


def finished(answer: Answer, text: TextResult | None, image: ImageResult | None) -> TaskEvent:
    """The last event."""
    work = image.thinker if image is not None else text.work if text is not None else None
    assert work is not None, "a task ended with neither a text nor a picture"
    counts = usage(work)
    return TaskEvent(
        finished=bagel_pb2.Finished(
            prompt_tokens=counts["prompt_tokens"],
            completion_tokens=counts["completion_tokens"],
            timings_s=answer.figures(text, image)["timings_s"],
        )
    )


def _image(data: bytes) -> settings_pb2.EncodedImage:
    return settings_pb2.EncodedImage(data=data)


def _size(made: Drawn | Preview) -> settings_pb2.ImageSize:
    return settings_pb2.ImageSize(height=made.height, width=made.width)
