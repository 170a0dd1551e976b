"""Contexts as trees of blocks: the table of the golden README's section 3, negative prompts, and what is shared."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bagel.contexts import Block, BlockKind, ContextPlan, Output, Role, SegmentKind, plan_contexts

T, P = SegmentKind.TEXT, SegmentKind.IMAGE
ALL_ROLES = (Role.GEN, Role.CFG_TEXT, Role.CFG_IMG)


def _names(plan: ContextPlan, role: Role) -> str:
    """A chain spelt like the README: `vae0 vit0 text1`; numbers are the segments."""
    blocks = [plan.nodes[index].block for index in plan.chain(role)]
    return " ".join(block.kind.value + ("" if block.segment is None else str(block.segment)) for block in blocks)


TABLE = [
    # segments, think, gen, cfg_text, cfg_img, nodes
    ([T], False, "text0", "", "text0", 1),
    ([T], True, "system text0 thought", "system", "system text0", 3),
    ([P, T], False, "vae0 vit0 text1", "vae0 vit0", "text1", 4),
    ([P, T], True, "system vae0 vit0 text1 thought", "system vae0 vit0", "system text1", 6),
    ([P, T, P, T], False, "vae0 vit0 text1 vae2 vit2 text3", "vae0 vit0 text1 vae2 vit2", "text1 text3", 8),
    ([P, T, T], False, "vae0 vit0 text1 text2", "vae0 vit0 text1", "text1 text2", 6),
    ([P], False, "vae0 vit0", "vae0 vit0", "", 2),
    ([T, P, T], False, "text0 vae1 vit1 text2", "text0 vae1 vit1", "text0 text2", 5),
    ([T, P], False, "text0 vae1 vit1", "text0 vae1 vit1", "text0", 3),
    ([P], True, "system vae0 vit0 thought", "system vae0 vit0", "system", 4),
]


@pytest.mark.parametrize(("segments", "think", "gen", "cfg_text", "cfg_img", "nodes"), TABLE)
def test_a_picture_has_the_contexts_of_the_readmes_table(
    segments: list[SegmentKind], think: bool, gen: str, cfg_text: str, cfg_img: str, nodes: int
) -> None:
    plan = plan_contexts(segments, Output.IMAGE, think=think, roles=ALL_ROLES)

    assert (_names(plan, Role.GEN), _names(plan, Role.CFG_TEXT), _names(plan, Role.CFG_IMG)) == (gen, cfg_text, cfg_img)
    assert len(plan.nodes) == nodes


@pytest.mark.parametrize(
    ("segments", "think", "gen"),
    [
        ([T], False, "text0"),
        ([T], True, "system text0"),
        ([P, T], False, "vit0 text1"),
        ([P, T, P, T], False, "vit0 text1 vit2 text3"),
        ([T, P], True, "system text0 vit1"),
    ],
)
def test_text_output_needs_gen_alone_and_no_latents(segments: list[SegmentKind], think: bool, gen: str) -> None:
    plan = plan_contexts(segments, Output.TEXT, think=think)

    assert _names(plan, Role.GEN) == gen
    assert list(plan.ends) == [Role.GEN]


@pytest.mark.parametrize(
    ("segments", "think", "cfg_text"),
    [
        ([T], False, "negative"),
        ([T], True, "system negative"),
        ([P, T], False, "vae0 vit0 negative"),
        ([P, T, T], False, "vae0 vit0 text1 negative"),
        ([P], False, "vae0 vit0 negative"),
    ],
)
def test_a_negative_prompt_is_cfg_texts_own_tail(segments: list[SegmentKind], think: bool, cfg_text: str) -> None:
    without = plan_contexts(segments, Output.IMAGE, think=think, roles=ALL_ROLES)
    plan = plan_contexts(segments, Output.IMAGE, think=think, negative=True, roles=ALL_ROLES)

    assert _names(plan, Role.CFG_TEXT) == cfg_text
    assert _names(plan, Role.GEN) == _names(without, Role.GEN)
    assert _names(plan, Role.CFG_IMG) == _names(without, Role.CFG_IMG)
    assert len(plan.nodes) == len(without.nodes) + 1


def test_only_the_roles_asked_for_are_planned_and_gen_always() -> None:
    plan = plan_contexts([P, T], Output.IMAGE, roles=(Role.CFG_TEXT,))

    assert set(plan.ends) == {Role.GEN, Role.CFG_TEXT}
    assert len(plan.nodes) == 3  # the text of cfg_img is not among them


def test_text_to_image_without_thinking_needs_no_second_chain_for_cfg_img() -> None:
    plan = plan_contexts([T], Output.IMAGE, roles=ALL_ROLES)

    assert plan.roles_by_end() == {0: (Role.GEN, Role.CFG_IMG), None: (Role.CFG_TEXT,)}


def test_a_picture_without_text_has_one_context_for_gen_and_cfg_text() -> None:
    plan = plan_contexts([P], Output.IMAGE, roles=ALL_ROLES)

    assert plan.roles_by_end() == {1: (Role.GEN, Role.CFG_TEXT), None: (Role.CFG_IMG,)}


def test_an_edit_has_three_different_ends() -> None:
    plan = plan_contexts([P, T], Output.IMAGE, roles=ALL_ROLES)

    assert list(plan.roles_by_end().values()) == [(Role.GEN,), (Role.CFG_TEXT,), (Role.CFG_IMG,)]


def _blocks_by_the_readme(
    segments: Sequence[SegmentKind], output: Output, think: bool, negative: bool
) -> dict[Role, list[Block]]:
    """Section 3 said the other way round: each context by what it leaves out of everything."""
    everything = [Block(BlockKind.SYSTEM)] if think else []
    for index, kind in enumerate(segments):
        towers = (BlockKind.VAE, BlockKind.VIT) if output is Output.IMAGE else (BlockKind.VIT,)
        everything += [Block(part, index) for part in ((BlockKind.TEXT,) if kind is T else towers)]
    ends_in_text = bool(segments) and segments[-1] is T
    return {
        Role.GEN: everything + ([Block(BlockKind.THOUGHT)] if think and output is Output.IMAGE else []),
        Role.CFG_TEXT: everything[: len(everything) - ends_in_text] + ([Block(BlockKind.NEGATIVE)] if negative else []),
        Role.CFG_IMG: [block for block in everything if block.kind in (BlockKind.SYSTEM, BlockKind.TEXT)],
    }


@settings(deadline=None, max_examples=200)
@given(
    segments=st.lists(st.sampled_from([T, P]), max_size=6),
    output=st.sampled_from(list(Output)),
    think=st.booleans(),
    negative=st.booleans(),
    roles=st.sets(st.sampled_from(list(Role))),
)
def test_every_chain_is_that_of_the_readme_and_no_block_is_computed_twice(
    segments: list[SegmentKind], output: Output, think: bool, negative: bool, roles: set[Role]
) -> None:
    plan = plan_contexts(segments, output, think=think, negative=negative, roles=tuple(roles))

    expected = _blocks_by_the_readme(segments, output, think, negative)
    assert set(plan.ends) == roles | {Role.GEN}
    for role in plan.ends:
        assert [plan.nodes[index].block for index in plan.chain(role)] == expected[role]
    assert all(node.parent is None or node.parent < index for index, node in enumerate(plan.nodes))
    assert len({(node.parent, node.block) for node in plan.nodes}) == len(plan.nodes)
    used = {index for role in plan.ends for index in plan.chain(role)}
    assert used == set(range(len(plan.nodes)))
    assert [role for group in plan.roles_by_end().values() for role in group].count(Role.GEN) == 1
    assert next(iter(plan.roles_by_end().values()))[0] is Role.GEN
