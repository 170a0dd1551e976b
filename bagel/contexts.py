"""Segments -> the contexts of a request as a tree of blocks. Pure: no tokens, no tensors, no clock.

Each context (gen, cfg_text, cfg_img) is a list of blocks. Lists that begin alike share those blocks, so the plan is a
tree in which every block is computed once. Rules: golden README, section 3, plus negative prompts: a negative prompt
is an own tail of cfg_text in place of the missing last text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

SYSTEM_PROMPT_TEXT = (
    "You should first think about the reasoning process in the mind and then provide the user with the answer. \n"
    "The reasoning process is enclosed within <think> </think> tags, i.e. <think> reasoning process here </think>"
    " answer here"
)
SYSTEM_PROMPT_IMAGE = (
    "You should first think about the planning process in the mind and then generate the image. \n"
    "The planning process is enclosed within <think> </think> tags, i.e. <think> planning process here </think>"
    " image here"
)


class Output(Enum):
    """What a request ends in."""

    TEXT = "text"
    IMAGE = "image"


class SegmentKind(Enum):
    """What a user sends, in order."""

    TEXT = "text"
    IMAGE = "image"


class BlockKind(Enum):
    """What a context is made of. SYSTEM, TEXT, THOUGHT and NEGATIVE are all causal text blocks."""

    SYSTEM = "system"
    TEXT = "text"
    VAE = "vae"
    VIT = "vit"
    THOUGHT = "thought"
    NEGATIVE = "negative"


class Role(Enum):
    """Which part of the guidance a context plays."""

    GEN = "gen"
    CFG_TEXT = "cfg_text"
    CFG_IMG = "cfg_img"


@dataclass(frozen=True, slots=True)
class Block:
    """One block; `segment` is the index of the user's segment it shows, None for the fixed and decoded ones."""

    kind: BlockKind
    segment: int | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A block after a given past: `parent` is the index of the node before it, None at the start."""

    block: Block
    parent: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextPlan:
    """Nodes in an order in which parents come first; `ends` maps each role to its last node, None when empty."""

    nodes: tuple[Node, ...]
    ends: dict[Role, int | None]

    def chain(self, role: Role) -> list[int]:
        """Node indices of a role's context, first to last."""
        chain: list[int] = []
        at = self.ends[role]
        while at is not None:
            chain.append(at)
            at = self.nodes[at].parent
        return chain[::-1]

    def roles_by_end(self) -> dict[int | None, tuple[Role, ...]]:
        """Roles that share one context, gen's first."""
        groups: dict[int | None, tuple[Role, ...]] = {}
        for role, end in self.ends.items():
            groups[end] = (*groups.get(end, ()), role)
        return groups


def plan_contexts(
    segments: Sequence[SegmentKind],
    output: Output,
    *,
    think: bool = False,
    negative: bool = False,
    roles: Sequence[Role] = (Role.GEN,),
) -> ContextPlan:
    """Plan the contexts named in `roles` (gen is always among them) for the segments of one request."""
    lists = _block_lists(segments, output, think=think, negative=negative)
    nodes: list[Node] = []
    index: dict[tuple[int | None, Block], int] = {}
    ends: dict[Role, int | None] = {}
    for role in Role:
        if role is not Role.GEN and role not in roles:
            continue
        at: int | None = None
        for block in lists[role]:
            key = (at, block)
            if key not in index:
                index[key] = len(nodes)
                nodes.append(Node(block, at))
            at = index[key]
        ends[role] = at
    return ContextPlan(nodes=tuple(nodes), ends=ends)


def _block_lists(
    segments: Sequence[SegmentKind], output: Output, *, think: bool, negative: bool
) -> dict[Role, list[Block]]:
    system = [Block(BlockKind.SYSTEM)] if think else []
    gen, cfg_text, cfg_img = list(system), list(system), list(system)
    for position, kind in enumerate(segments):
        match kind:
            case SegmentKind.TEXT:
                cfg_text = list(gen)
                gen.append(Block(BlockKind.TEXT, position))
                cfg_img.append(Block(BlockKind.TEXT, position))
            case SegmentKind.IMAGE:
                if output is Output.IMAGE:
                    gen.append(Block(BlockKind.VAE, position))
                gen.append(Block(BlockKind.VIT, position))
                cfg_text = list(gen)
    if negative:
        cfg_text = [*cfg_text, Block(BlockKind.NEGATIVE)]
    if think and output is Output.IMAGE:
        gen = [*gen, Block(BlockKind.THOUGHT)]
    return {Role.GEN: gen, Role.CFG_TEXT: cfg_text, Role.CFG_IMG: cfg_img}
