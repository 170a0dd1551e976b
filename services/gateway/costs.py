"""What a task costs, for admission: 1 is an ordinary request of its kind. An estimate before anything was computed."""

from bagel.settings import DEFAULT_MAX_THINK_TOKENS, DEFAULT_MAX_TOKENS, ModelLimits, SamplerSettings
from services.gateway.tasks import Task

LEAST = 0.25
PICTURE_SENT = 0.25


def cost_of(task: Task, limits: ModelLimits) -> float:
    """Of a picture: its pixels, steps and number, against the defaults; of a text: the most tokens it may have."""
    cost = PICTURE_SENT * len(task.images)
    if task.sampler is None:
        assert task.decode is not None
        return max(LEAST, cost + task.decode.max_tokens / DEFAULT_MAX_TOKENS)
    height, width = task.size or (limits.default_side_px, limits.default_side_px)
    steps = task.sampler.num_timesteps / SamplerSettings().num_timesteps
    cost += task.count * steps * height * width / limits.default_side_px**2
    if task.decode is not None:
        cost += task.decode.max_tokens / DEFAULT_MAX_THINK_TOKENS
    return max(LEAST, cost)
