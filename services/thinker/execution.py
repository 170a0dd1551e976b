"""One request on the device: its nodes' contexts, its decoding, and what of it is published in the end.

Knows neither queues nor RPCs. Owns the pages of its request until `close`. Device thread only.
"""

from dataclasses import dataclass, field

from torch import Tensor

from bagel.contexts import Block, BlockKind, Output, Role
from bagel.errors import RequestError
from bagel.model.noise import NoiseSource
from bagel.model.observe import Observe, observe_nothing
from bagel.tokens import TextStream, Tokenizer
from services.thinker.pages import Sequence
from services.thinker.prepare import PreparedRequest
from services.thinker.runner import Runner, WorkCounters
from services.thinker.sampling import TokenSampler


@dataclass(frozen=True, slots=True)
class Piece:
    """What one decoding step gave: text that became certain, and why it ended, if it did."""

    text: str
    finish_reason: str | None  # "stop" or "length"


@dataclass(frozen=True, slots=True)
class SealedContext:
    """One finished context: whose roles it plays, its pages in order, its tokens and next rotary position."""

    roles: tuple[Role, ...]
    pages: tuple[int, ...]
    tokens: int
    rope: int


@dataclass(slots=True)
class _Decoding:
    sequence: Sequence
    stream: TextStream
    sampler: TokenSampler
    fed: list[int] = field(default_factory=list)
    next_token: int = 0


@dataclass(slots=True)
class _Filling:
    ids: list[int] | None  # of a text, those that are still to come
    begin: int  # tokens of the context before this node


class Execution:
    """The state of one request between its pieces of work."""

    def __init__(
        self,
        prepared: PreparedRequest,
        runner: Runner,
        tokenizer: Tokenizer,
        noise: NoiseSource,
        observe: Observe = observe_nothing,
    ) -> None:
        self.prepared, self.runner = prepared, runner
        self.counters = WorkCounters()
        self.text = ""
        self.visible_tokens = 0
        self.thought_tokens: int | None = None  # once it is part of the context
        self._tokenizer, self._noise, self._observe = tokenizer, noise, observe
        self._sequences: dict[int, Sequence] = {}
        self._decoding: _Decoding | None = None
        self._filling: _Filling | None = None
        self._node_tokens: dict[int, int] = {}
        self._last_use = _last_uses(prepared)
        self._final: dict[int, None] = {}  # pages that will not change, in the order in which they became so

    def prefill(self, node: int, most_tokens: int | None = None) -> None:
        """Compute one node after its parent, or the next `most_tokens` of its text; `filling` tells if it goes on."""
        if self._filling is None:
            self._sequences[node] = self._sequence_after(self.prepared.plan.nodes[node].parent, by=node)
            self._filling = _Filling(self._text_ids(node), self._sequences[node].tokens)
        filling, sequence = self._filling, self._sequences[node]
        block = self.prepared.plan.nodes[node].block
        if filling.ids is None:
            self._prefill_picture(sequence, block, self._named(node))
        else:
            piece = filling.ids[:most_tokens]
            self.runner.prefill_text(sequence, piece, self.counters, self._named(node))
            filling.ids = filling.ids[len(piece) :]
        if not filling.ids:
            self._filling = None
            self.counters.blocks += 1
            if block.kind is not BlockKind.THOUGHT:
                self._node_tokens[node] = sequence.tokens - filling.begin
        # Pages that are full stay as they are; a half-filled one may still be appended to.
        full = sequence.tokens // self.runner.pages.page_tokens
        self._final.update(dict.fromkeys(sequence.pages[:full]))

    @property
    def filling(self) -> bool:
        """Whether a node's text is computed in part."""
        return self._filling is not None

    @property
    def held_pages(self) -> int:
        """Different pages that the request holds now."""
        held = [*self._sequences.values(), *([self._decoding.sequence] if self._decoding is not None else [])]
        return len({page for sequence in held for page in sequence.pages})

    def decode(self) -> Piece:
        """Feed one token: the first call feeds bos to a continuation of gen."""
        decoding = self._decoding or self._start_decoding()
        special, settings = self._tokenizer.special, self.prepared.request.decode
        assert settings is not None
        logits = self.runner.decode(decoding.sequence, decoding.next_token, self.counters)
        self._observe("logits", logits)
        decoding.fed.append(decoding.next_token)
        token = decoding.sampler.pick(logits)
        decoding.next_token = token
        # A second bos ends what a reader sees, whatever follows it (golden README, section 4).
        if token in (special.eos, special.bos):
            return self._finish_decoding(decoding, "", "stop")
        self.visible_tokens += 1
        text = decoding.stream.push(token)
        if self.visible_tokens >= settings.max_tokens:
            return self._finish_decoding(decoding, text, "length")
        self.text += text
        return Piece(text, None)

    def sealed(self) -> list[SealedContext]:
        """The finished contexts, gen's first. Their pages stay held until `close`."""
        plan = self.prepared.plan
        contexts = []
        for end, roles in plan.roles_by_end().items():
            sequence = self.runner.pages.empty() if end is None else self._sequences[end]
            contexts.append(SealedContext(roles, tuple(sequence.pages), sequence.tokens, sequence.rope))
        return contexts

    def final_pages(self) -> list[int]:
        """Pages of the contexts that will not change any more, so far; none while a thought is still to come."""
        thinks = any(node.block.kind is BlockKind.THOUGHT for node in self.prepared.plan.nodes)
        return [] if thinks and self.thought_tokens is None else list(self._final)

    @property
    def prompt_tokens(self) -> int:
        """Tokens of gen before anything was written."""
        return sum(self._node_tokens.get(index, 0) for index in self.prepared.plan.chain(Role.GEN))

    def sequence(self, node: int) -> Sequence:
        """The context that ends in a node, as long as it is held."""
        return self._sequences[node]

    def close(self) -> None:
        """Give every page back. Once."""
        self._release_decoding()
        for sequence in self._sequences.values():
            self.runner.pages.release(sequence)
        self._sequences.clear()

    def _sequence_after(self, parent: int | None, *, by: int) -> Sequence:
        """The parent's context to append to: taken over when `by` is the last to need it, else forked."""
        if parent is None:
            return self.runner.pages.empty()
        if self._last_use.get(parent) == by:
            return self._sequences.pop(parent)
        return self.runner.pages.fork(self._sequences[parent])

    def _text_ids(self, node: int) -> list[int] | None:
        """A text node's tokens; those of a thought, which replace its decoding, once it is written."""
        if self.prepared.plan.nodes[node].block.kind is not BlockKind.THOUGHT:
            return self.prepared.node_ids[node]
        ids = self._tokenizer.encode_block(self.text)
        self.thought_tokens = len(ids)
        self._release_decoding()
        return ids

    def _prefill_picture(self, sequence: Sequence, block: Block, observe: Observe) -> None:
        assert block.segment is not None
        picture = self.prepared.images[block.segment]
        if block.kind is BlockKind.VIT:
            self.runner.prefill_vit(sequence, picture.image, self.counters, observe)
            return
        shape = self.runner.posterior_shape(picture.image)
        noise = self._noise.posterior(self.prepared.request.request_id, picture.index, picture.digest, shape)
        self.runner.prefill_vae(sequence, picture.image, noise, self.counters, observe)

    def _start_decoding(self) -> _Decoding:
        plan, settings = self.prepared.plan, self.prepared.request.decode
        if settings is None:
            raise RequestError("a request that writes text needs decode settings", param="decode")
        end = plan.ends[Role.GEN]
        if self.prepared.request.output is Output.IMAGE:
            assert end is not None
            end = plan.nodes[end].parent  # gen ends in the thought that is about to be decoded
        # The rows of decoding are never kept, so it continues a fork.
        sequence = self.runner.pages.empty() if end is None else self.runner.pages.fork(self._sequences[end])
        bos = self._tokenizer.special.bos
        said = [token for node in plan.chain(Role.GEN) for token in self.prepared.node_ids[node] or ()]
        sampler = TokenSampler(settings, [*said, bos])
        self._decoding = _Decoding(sequence, TextStream(self._tokenizer), sampler, next_token=bos)
        return self._decoding

    def _finish_decoding(self, decoding: _Decoding, text: str, reason: str) -> Piece:
        text += decoding.stream.finish()
        self.text += text
        return Piece(text, reason)

    def _release_decoding(self) -> None:
        if self._decoding is not None:
            self.runner.pages.release(self._decoding.sequence)
            self._decoding = None

    def _named(self, node: int) -> Observe:
        def observe(name: str, value: Tensor) -> None:
            self._observe(f"node{node}.{name}", value)

        return observe


def _last_uses(prepared: PreparedRequest) -> dict[int, int]:
    """For each node that is not the end of a context, the child that needs it last."""
    plan = prepared.plan
    ends = set(plan.ends.values())
    # A thought is decoded from its parent before it is appended, by which time the parent must still be there.
    last: dict[int, int] = {}
    for index, node in enumerate(plan.nodes):
        if node.parent is not None and node.parent not in ends:
            last[node.parent] = index
    return last
