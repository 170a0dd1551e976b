"""From what a caller sent to what the engine executes: plan, token ids, resized pictures. CPU only, no device.

Runs before a request is queued, off the event loop, so that the scheduler knows every size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from bagel.config import ModelConfig
from bagel.contexts import (
    SYSTEM_PROMPT_IMAGE,
    SYSTEM_PROMPT_TEXT,
    BlockKind,
    ContextPlan,
    Output,
    Role,
    SegmentKind,
    plan_contexts,
)
from bagel.errors import RequestError
from bagel.images import digest, resize, resized_size
from bagel.settings import DecodeSettings, ModelLimits, check_output_size
from bagel.tokens import Tokenizer
from services.thinker.scheduler import Job


@dataclass(frozen=True, slots=True)
class TextSegment:
    """A user's text; `raw` is taken token by token, without the markers around it."""

    text: str
    raw: bool = False


@dataclass(frozen=True, slots=True)
class ImageSegment:
    """A user's picture, decoded, RGB, not yet resized."""

    image: Image.Image


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextRequest:
    """One request to the Thinker. `size` is (height, width) in pixels; None leaves it to the model or the picture."""

    request_id: str
    segments: Sequence[TextSegment | ImageSegment]
    output: Output
    think: bool = False
    negative_prompt: str | None = None
    roles: tuple[Role, ...] = (Role.GEN,)
    decode: DecodeSettings | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """A picture after the VAE rule; its place among the request's pictures; the digest that seeds its posterior."""

    image: Image.Image
    index: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRequest:
    """Everything the engine needs, sizes known. `node_ids` holds each text node's ids, None for other nodes."""

    request: ContextRequest
    plan: ContextPlan
    node_ids: tuple[list[int] | None, ...]
    images: dict[int, PreparedImage]  # by segment
    output_size: tuple[int, int] | None  # height, width

    def job(self, config: ModelConfig, *, deadline_s: float) -> Job:
        """What the scheduler must know."""
        return Job(
            request_id=self.request.request_id,
            node_tokens=tuple(self._tokens(index, config) for index in range(len(self.plan.nodes))),
            picture_nodes=frozenset(
                i for i, node in enumerate(self.plan.nodes) if node.block.kind in (BlockKind.VIT, BlockKind.VAE)
            ),
            thought_node=next(
                (i for i, node in enumerate(self.plan.nodes) if node.block.kind is BlockKind.THOUGHT), None
            ),
            decode_tokens=self.request.decode.max_tokens if self.request.decode else 0,
            output=self.request.output,
            deadline_s=deadline_s,
        )

    def _tokens(self, index: int, config: ModelConfig) -> int:
        """Tokens of one node; for a thought the most it can have."""
        block, ids = self.plan.nodes[index].block, self.node_ids[index]
        if ids is not None:
            return len(ids)
        if block.kind is BlockKind.THOUGHT:
            assert self.request.decode is not None
            # Re-encoded text is rarely longer than what was decoded, but broken bytes become three each.
            return 3 * self.request.decode.max_tokens + 2
        assert block.segment is not None
        return picture_tokens(self.images[block.segment].image.size, block.kind, config)


def prepare(request: ContextRequest, tokenizer: Tokenizer, config: ModelConfig) -> PreparedRequest:
    """Plan, tokenize and resize. Blocking. Raises RequestError for what can never work."""
    kinds = [SegmentKind.TEXT if isinstance(s, TextSegment) else SegmentKind.IMAGE for s in request.segments]
    if not kinds:
        raise RequestError("the request holds neither a text nor a picture", param="segments")
    plan = plan_contexts(
        kinds,
        request.output,
        think=request.think,
        negative=request.negative_prompt is not None,
        roles=request.roles,
    )
    images: dict[int, PreparedImage] = {}
    for position, segment in enumerate(request.segments):
        if isinstance(segment, ImageSegment):
            resized = resize(segment.image, config.vae_resize)
            _check_tables(resized, request.output, config, param=f"segments[{position}].image")
            images[position] = PreparedImage(resized, len(images), digest(resized))
    node_ids = tuple(_ids(request, node.block.kind, node.block.segment, tokenizer) for node in plan.nodes)
    _check_positions(request, plan, node_ids, config)
    return PreparedRequest(
        request=request,
        plan=plan,
        node_ids=node_ids,
        images=images,
        output_size=_output_size(request, images, config) if request.output is Output.IMAGE else None,
    )


def model_limits(config: ModelConfig, *, context_tokens: int) -> ModelLimits:
    """What this checkpoint can do, in contexts of so many tokens."""
    return ModelLimits(
        token_pixels=config.token_pixels,
        max_side_px=config.max_image_side,
        default_side_px=config.default_image_side,
        max_context_tokens=context_tokens,
        text2img_guidance=config.text2img_guidance,
        img2img_guidance=config.img2img_guidance,
    )


def picture_tokens(size: tuple[int, int], kind: BlockKind, config: ModelConfig) -> int:
    """Rows of a picture block, markers included, for a (width, height) after the VAE rule."""
    width, height = size
    if kind is BlockKind.VAE:
        return (height // config.token_pixels) * (width // config.token_pixels) + 2
    width, height = resized_size(width, height, config.vit_resize)
    return (height // config.vit.patch_size) * (width // config.vit.patch_size) + 2


def _check_positions(
    request: ContextRequest, plan: ContextPlan, node_ids: tuple[list[int] | None, ...], config: ModelConfig
) -> None:
    """Refuse what would run past the model's last rotary position; a picture block takes one."""
    positions = sum(1 if node_ids[i] is None else len(node_ids[i] or ()) for i in plan.chain(Role.GEN))
    positions += request.decode.max_tokens if request.decode is not None else 0
    if positions > config.llm.max_positions:
        raise RequestError(
            f"the request needs up to {positions} positions, the model has {config.llm.max_positions}: send a shorter"
            " text or a lower token limit",
            param="messages",
        )


def _check_tables(image: Image.Image, output: Output, config: ModelConfig, *, param: str) -> None:
    """Refuse a resized picture that is no whole number of tokens or reaches beyond the position tables."""
    patch, size = config.vit.patch_size, resized_size(image.width, image.height, config.vit_resize)
    sides = [side // patch for side in size]
    last_id = (sides[1] - 1) * config.vit_grid_side + sides[0] - 1
    fits = (
        not any(side % patch for side in size)
        and max(sides) <= config.vit_grid_side
        and last_id < config.vit.num_positions
    )
    if output is Output.IMAGE:
        fits &= not any(side % config.token_pixels for side in image.size)
        fits &= max(image.size) // config.token_pixels <= config.max_latent_size
    if not fits:
        raise RequestError(
            f"{param}: {image.width} x {image.height} pixels after resizing are more than this checkpoint has positions"
            " for; its resize rules and its position tables do not fit together",
            param=param,
        )


def _ids(request: ContextRequest, kind: BlockKind, segment: int | None, tokenizer: Tokenizer) -> list[int] | None:
    match kind:
        case BlockKind.SYSTEM:
            image = request.output is Output.IMAGE
            return tokenizer.encode_block(SYSTEM_PROMPT_IMAGE if image else SYSTEM_PROMPT_TEXT)
        case BlockKind.NEGATIVE:
            return tokenizer.encode_block(request.negative_prompt or "")
        case BlockKind.TEXT:
            assert segment is not None
            text = request.segments[segment]
            assert isinstance(text, TextSegment)
            ids = tokenizer.encode(text.text) if text.raw else tokenizer.encode_block(text.text)
            if not ids:
                raise RequestError("a raw prompt without tokens", param=f"segments[{segment}].text")
            return ids
        case _:
            return None


def _output_size(request: ContextRequest, images: dict[int, PreparedImage], config: ModelConfig) -> tuple[int, int]:
    """The size asked for, else that of the last picture, else the checkpoint's default: height, width."""
    if request.size is not None:
        check_output_size(model_limits(config, context_tokens=0), height=request.size[0], width=request.size[1])
        return request.size
    if images:
        width, height = images[max(images)].image.size
        return height, width
    side = config.default_image_side
    return side, side
