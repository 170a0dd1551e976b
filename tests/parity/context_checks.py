"""What text and image cases share: running a request through the Thinker's execution and checking its contexts."""

import re
from typing import Any

import torch
from torch import Tensor

from bagel.contexts import BlockKind, Role
from bagel.settings import DecodeSettings
from services.thinker.execution import Execution
from services.thinker.pages import Sequence
from services.thinker.prepare import PreparedRequest, prepare
from services.thinker.runner import WorkCounters
from services.thinker.sampling import TokenSampler
from tests.parity.golden import Case, CaseNoise
from tests.parity.report import Report
from tests.parity.rig import Rig

PICTURE_TENSOR = re.compile(r"(?P<head>image|vit|vae)(?P<index>\d+)\.(?P<part>\w+)")
TEXT_KINDS = (BlockKind.SYSTEM, BlockKind.TEXT, BlockKind.THOUGHT, BlockKind.NEGATIVE)


class ObservedRun:
    """One request executed, with every observed tensor kept by name."""

    def __init__(self, case: Case, rig: Rig, report: Report) -> None:
        self.case, self.rig, self.report = case, rig, report
        self.seen: dict[str, Tensor] = {}
        self.prepared: PreparedRequest = prepare(case.request(), rig.tokenizer, rig.config)
        self.execution = Execution(
            self.prepared, rig.runner, rig.tokenizer, CaseNoise(case), lambda name, v: self.seen.update({name: v})
        )
        self.shapes: list[tuple[int, int, int]] = []  # tokens before, rope before, tokens of each node
        self.after: dict[int, tuple[int, int]] = {}  # tokens and rope after each node

    def prefill_all(self) -> None:
        """Every node; a thought is decoded before it is appended."""
        for index, node in enumerate(self.prepared.plan.nodes):
            before = (0, 0) if node.parent is None else self.after[node.parent]
            if node.block.kind is BlockKind.THOUGHT:
                assert node.parent is not None
                past, think = self.execution.sequence(node.parent), self.case.json["think"]
                self.check_decoding(past, self.case.fed_limit, "think", think)
                while self.execution.decode().finish_reason is None:
                    pass
            self.execution.prefill(index)
            self.shapes.append((*before, self.execution.sequence(index).tokens - before[0]))
            self.after[index] = (self.execution.sequence(index).tokens, self.execution.sequence(index).rope)

    def end(self, role: Role) -> Sequence:
        end = self.prepared.plan.ends[role]
        return self.rig.runner.pages.empty() if end is None else self.execution.sequence(end)

    def check_updates(self, updates: list[dict[str, Any]]) -> None:
        """Every block: context, kind, size, positions, ids, in the order of each context."""
        for role in (Role.GEN, Role.CFG_IMG):
            expected = [u for u in updates if u["context"] == role.value]
            if role in self.prepared.plan.ends:
                self.report.same(f"blocks of {role.value}", self._updates(role), expected)

    def check_images(self) -> None:
        """Resized pictures, ViT and VAE tensors, in the order of the pictures."""
        nodes = enumerate(self.prepared.plan.nodes)
        index_of = {image.index: segment for segment, image in self.prepared.images.items()}
        by_segment = {(n.block.segment, n.block.kind): i for i, n in nodes}
        for name in self.case.tensors:
            found = PICTURE_TENSOR.fullmatch(name)
            if found is None or found["part"] == "posterior_noise":
                continue
            head, part, segment = found["head"], found["part"], index_of[int(found["index"])]
            if part == "after_vae_resize_u8":
                ours = _u8(self.prepared.images[segment].image)
                self.report.same(name, ours, self.case.tensors[name])
                continue
            kind = BlockKind.VAE if head == "vae" else BlockKind.VIT
            self._compare(name, self.seen.get(f"node{by_segment[segment, kind]}.{part}"))

    def check_decoding(self, sequence: Sequence, fed_limit: int, names: str, expected: dict[str, Any]) -> None:
        """Feed tokens one by one as the reference does, the last of a cut run included."""
        rig = self.rig
        fork, sampler = rig.runner.pages.fork(sequence), TokenSampler(DecodeSettings())
        start_tokens, start_rope = fork.tokens, fork.rope
        token, fed, picked, logits = rig.tokenizer.special.bos, [], [], []
        for _ in range(fed_limit):
            fed.append(token)
            logits.append(rig.runner.decode(fork, token, WorkCounters()))
            token = sampler.pick(logits[-1])
            picked.append(token)
            if token == rig.tokenizer.special.eos:
                break
        self.report.same(f"{names} fed ids", fed, expected["returned_ids"])
        self.report.same(f"{names} picked ids", picked, expected["argmax_ids"])
        self.report.same(f"{names} text", rig.tokenizer.visible_text(fed), expected["text"])
        self.report.same(f"{names} raw text", rig.tokenizer.decode(fed), expected["raw_decoded"])
        ours = {
            f"{names}.input_ids": torch.tensor(fed),
            f"{names}.logits": torch.stack(logits),
            f"{names}.argmax": torch.tensor(picked),
            f"{names}.position_ids": torch.arange(start_rope, start_rope + len(fed)),
        }
        for label, layer in (("layer0", 0), ("last", rig.config.llm.num_layers - 1)):
            keys, values = rig.keys_values(fork, layer)
            ours[f"{names}.k_new.{label}"] = keys[start_tokens:]
            ours[f"{names}.v_new.{label}"] = values[start_tokens:]
        for name in self._expected(f"{names}."):
            self._compare(name, ours.get(name))
        rig.runner.pages.release(fork)

    def check_kv(self, prefix: str, sequence: Sequence) -> None:
        """`prefix.k`, `prefix.v`, whole or of the first and last layer."""
        layers = self.rig.config.llm.num_layers
        for axis, letter in enumerate(("k", "v")):
            for label, chosen in (("", range(layers)), (".layer0", [0]), (".last", [layers - 1])):
                name = f"{prefix}.{letter}{label}"
                if name in self.case.tensors:
                    rows = [self.rig.keys_values(sequence, layer)[axis] for layer in chosen]
                    self._compare(name, torch.stack(rows) if label == "" else rows[0])

    def close(self) -> None:
        self.execution.close()
        self.rig.runner.pages.check_integrity()
        pages = self.rig.runner.pages
        self.report.same("free pages afterwards", pages.free_pages, pages.num_pages)

    def joined(self, role: Role, part: str) -> Tensor:
        """An observed tensor of all blocks of a context, in order."""
        return torch.cat([self.seen[f"node{i}.{part}"] for i in self.prepared.plan.chain(role)])

    def _updates(self, role: Role) -> list[dict[str, Any]]:
        updates: list[dict[str, Any]] = []
        for index in self.prepared.plan.chain(role):
            tokens_before, rope_before, count = self.shapes[index]
            kind = self.prepared.plan.nodes[index].block.kind
            update: dict[str, Any] = {
                "context": role.value, "kind": "text" if kind in TEXT_KINDS else kind.value,
                "kv_before": tokens_before, "n_tokens": count,
                "rope_first": rope_before, "rope_last": self.after[index][1] - 1,
            }  # fmt: skip
            if kind is BlockKind.THOUGHT:
                update["token_ids"] = self.rig.tokenizer.encode_block(self.execution.text)
            elif kind in TEXT_KINDS:
                update["token_ids"] = self.prepared.node_ids[index]
            updates.append(update)
        return updates

    def _expected(self, *prefixes: str) -> list[str]:
        return [name for name in self.case.tensors if name.startswith(prefixes)]

    def _compare(self, name: str, ours: Tensor | None) -> None:
        expected = self.case.tensors[name]
        if ours is None:
            self.report.missing({name})
        elif expected.is_floating_point():
            self.report.close(name, ours, expected)
        else:
            self.report.same(name, ours, expected)


def _u8(image: Any) -> Tensor:
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(image.height, image.width, 3)
