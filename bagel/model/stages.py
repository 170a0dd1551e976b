"""What each stage holds of the model, and where each of its parameters lies in a checkpoint.

A `Slot` names a checkpoint tensor and the view of a parameter that takes it; fused products are views of one
parameter. A Thinker holds what its tasks need, a process that is Thinker and DiT holds what both need once. Nothing
here opens a file.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bagel.config import ModelConfig
from bagel.model.embeddings import LatentEmbedder
from bagel.model.mot import Expert, MotLayer, MotModel
from bagel.model.vae import Decoder, Encoder
from bagel.model.vit import Connector, VitLayer, VitTower
from bagel.tasks import TaskKind

EMBEDDINGS = "language_model.model.embed_tokens.weight"


@dataclass(frozen=True, slots=True)
class Slot:
    """A checkpoint tensor and its place; `rows` picks some of its rows where a stage needs only those."""

    name: str
    target: Tensor
    rows: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkerParts:
    """What a Thinker holds besides the und expert and the embeddings."""

    vit: bool = True  # with its connector and positions: pictures that are looked at
    gen: bool = True  # the gen expert and the latents' embedding: VAE blocks, of edits alone
    encoder: bool = True  # the VAE's: pictures that are changed

    @classmethod
    def of(cls, tasks: Iterable[TaskKind]) -> "ThinkerParts":
        """What some tasks need: texts, thoughts, negative prompts are und rows, and an edit's VAE blocks gen rows."""
        chosen = frozenset(tasks)
        edits = TaskKind.IMG2IMG in chosen
        return cls(vit=any(task.sees for task in chosen), gen=edits, encoder=edits)


ALL_PARTS = ThinkerParts()


class ThinkerModel(nn.Module):
    """Understanding and contexts: embeddings, the und expert, logits, and `parts`; the others do not exist in it."""

    def __init__(self, config: ModelConfig, parts: ThinkerParts = ALL_PARTS) -> None:
        super().__init__()
        llm = config.llm
        self.config, self.parts = config, parts
        self.embed_tokens = nn.Embedding(llm.vocab_size, llm.hidden_size)
        self.lm_head = nn.Linear(llm.hidden_size, llm.vocab_size, bias=False)
        self.mot = MotModel(llm, gen=parts.gen, norm_und=True, norm_gen=False)
        if parts.vit:
            self.vit = VitTower(config.vit)
            self.connector = Connector(config.vit.hidden_size, llm.hidden_size, config.connector_act)
            self.vit_pos_embed = nn.Parameter(torch.empty(config.vit_grid_side**2, llm.hidden_size))
        if parts.gen:
            self.latents = LatentEmbedder(config.token_channels, llm.hidden_size, config.max_latent_size**2)
        if parts.encoder:
            self.encoder = Encoder(config.vae)

    def logits(self, rows: Tensor) -> Tensor:
        """Last layer's und rows [n, H] -> [n, vocab] float32."""
        assert self.mot.norm is not None
        out: Tensor = self.lm_head(self.mot.norm(rows))
        return out.float()

    @property
    def float32_parts(self) -> tuple[nn.Module, ...]:
        """What stays float32 whatever the rest computes in."""
        return (self.encoder,) if self.parts.encoder else ()

    def slots(self) -> Iterator[Slot]:
        """Every parameter of this stage with its place in a checkpoint."""
        yield Slot(EMBEDDINGS, self.embed_tokens.weight)
        yield Slot("language_model.lm_head.weight", self.lm_head.weight)
        yield from _mot_slots(self.mot)
        if self.parts.vit:
            yield from _vit_slots(self.vit)
            yield from _module_slots("connector", self.connector)
            yield Slot("vit_pos_embed.pos_embed", self.vit_pos_embed)
        if self.parts.gen:
            yield from _latent_slots(self.latents)
        if self.parts.encoder:
            yield from _module_slots("encoder", self.encoder)


class DitModel(nn.Module):
    """Denoising: both experts, the embeddings of the two marker tokens alone, llm2vae, VAE decoder.

    With `beside`, a Thinker of the same process that has the gen expert, whatever both hold is the Thinker's.
    """

    def __init__(self, config: ModelConfig, marker_ids: tuple[int, int], beside: ThinkerModel | None = None) -> None:
        super().__init__()
        llm = config.llm
        self.config = config
        self.marker_ids, self.alone = marker_ids, beside is None
        if beside is None:
            self.marker_table = nn.Embedding(2, llm.hidden_size, _weight=torch.empty(2, llm.hidden_size))
            self.marker_rows = (0, 1)
            self.mot = MotModel(llm, gen=True, norm_und=False, norm_gen=True)
            self.latents = LatentEmbedder(config.token_channels, llm.hidden_size, config.max_latent_size**2)
        else:
            self.marker_table, self.marker_rows = beside.embed_tokens, marker_ids
            self.mot = MotModel(llm, gen=True, norm_und=False, norm_gen=True, layers=beside.mot.layers)
            self.latents = beside.latents
        self.llm2vae = nn.Linear(llm.hidden_size, config.token_channels)
        self.decoder = Decoder(config.vae)

    @property
    def markers(self) -> Tensor:
        """The embeddings of the start and the end marker, [2, H]."""
        table = self.marker_table.weight
        return torch.stack([table[row] for row in self.marker_rows])

    def velocity(self, rows: Tensor) -> Tensor:
        """Last layer's gen rows [n, H] -> velocities [n, C] float32."""
        assert self.mot.norm_gen is not None
        out: Tensor = self.llm2vae(self.mot.norm_gen(rows))
        return out.float()

    @property
    def float32_parts(self) -> tuple[nn.Module, ...]:
        """What stays float32 whatever the rest computes in."""
        return (self.decoder,)

    def slots(self) -> Iterator[Slot]:
        """Every parameter of this stage with its place in a checkpoint."""
        yield Slot(EMBEDDINGS, self.marker_table.weight, rows=self.marker_ids if self.alone else None)
        yield from _mot_slots(self.mot)
        yield from _latent_slots(self.latents)
        yield from _module_slots("llm2vae", self.llm2vae)
        yield from _module_slots("decoder", self.decoder)


class WholeModel(nn.Module):
    """A Thinker and a DiT of one process over one set of weights."""

    def __init__(self, config: ModelConfig, marker_ids: tuple[int, int], parts: ThinkerParts = ALL_PARTS) -> None:
        super().__init__()
        self.config = config
        self.thinker = ThinkerModel(config, replace(parts, gen=True))
        self.dit = DitModel(config, marker_ids, beside=self.thinker)

    @property
    def float32_parts(self) -> tuple[nn.Module, ...]:
        """What stays float32 whatever the rest computes in."""
        return (*self.thinker.float32_parts, *self.dit.float32_parts)

    def slots(self) -> Iterator[Slot]:
        """Every parameter of both with its place in a checkpoint, each once."""
        told: set[str] = set()
        for slot in (*self.thinker.slots(), *self.dit.slots()):
            if slot.name not in told:
                told.add(slot.name)
                yield slot


def weight_bytes(model: nn.Module) -> int:
    """Bytes of a model's parameters, each counted once."""
    return sum(parameter.nbytes for parameter in model.parameters())


def _mot_slots(mot: MotModel) -> Iterator[Slot]:
    for index, layer in enumerate(mot.layers):
        assert isinstance(layer, MotLayer)
        at = f"language_model.model.layers.{index}"
        yield from _expert_slots(at, "", layer.und)
        if layer.gen is not None:
            yield from _expert_slots(at, "_moe_gen", layer.gen)
    if mot.norm is not None:
        yield Slot("language_model.model.norm.weight", mot.norm.weight)
    if mot.norm_gen is not None:
        yield Slot("language_model.model.norm_moe_gen.weight", mot.norm_gen.weight)


def _expert_slots(at: str, suffix: str, expert: Expert) -> Iterator[Slot]:
    hidden = expert.o.in_features
    kv = (expert.qkv.out_features - hidden) // 2
    for kind in ("weight", "bias"):
        q, k, v = getattr(expert.qkv, kind).split((hidden, kv, kv))
        for name, target in (("q_proj", q), ("k_proj", k), ("v_proj", v)):
            yield Slot(f"{at}.self_attn.{name}{suffix}.{kind}", target)
    gate, up = expert.gate_up.weight.chunk(2)
    yield Slot(f"{at}.mlp{suffix}.gate_proj.weight", gate)
    yield Slot(f"{at}.mlp{suffix}.up_proj.weight", up)
    yield Slot(f"{at}.mlp{suffix}.down_proj.weight", expert.down.weight)
    yield Slot(f"{at}.self_attn.o_proj{suffix}.weight", expert.o.weight)
    yield Slot(f"{at}.self_attn.q_norm{suffix}.weight", expert.q_norm.weight)
    yield Slot(f"{at}.self_attn.k_norm{suffix}.weight", expert.k_norm.weight)
    yield Slot(f"{at}.input_layernorm{suffix}.weight", expert.input_norm.weight)
    yield Slot(f"{at}.post_attention_layernorm{suffix}.weight", expert.post_norm.weight)


def _vit_slots(vit: VitTower) -> Iterator[Slot]:
    top = "vit_model.vision_model"
    yield from _module_slots(f"{top}.embeddings.patch_embedding", vit.patch_embedding)
    yield from _module_slots(f"{top}.embeddings.position_embedding", vit.position_embedding)
    for index, layer in enumerate(vit.layers):
        assert isinstance(layer, VitLayer)
        at = f"{top}.encoder.layers.{index}"
        for name, module in (
            ("layer_norm1", layer.norm1), ("layer_norm2", layer.norm2), ("mlp.fc1", layer.fc1), ("mlp.fc2", layer.fc2),
            ("self_attn.q_proj", layer.q), ("self_attn.k_proj", layer.k), ("self_attn.v_proj", layer.v),
            ("self_attn.out_proj", layer.out),
        ):  # fmt: skip
            yield from _module_slots(f"{at}.{name}", module)
    yield from _module_slots(f"{top}.post_layernorm", vit.post_norm)


def _latent_slots(latents: LatentEmbedder) -> Iterator[Slot]:
    yield from _module_slots("vae2llm", latents.vae2llm)
    yield from _module_slots("time_embedder.mlp.0", latents.time_in)
    yield from _module_slots("time_embedder.mlp.2", latents.time_out)
    yield Slot("latent_pos_embed.pos_embed", latents.pos_embed)


def _module_slots(at: str, module: nn.Module) -> Iterator[Slot]:
    """Modules whose own parameter names are the official ones."""
    for name, parameter in module.named_parameters():
        yield Slot(f"{at}.{name}", parameter)
