"""Every tensor of an official checkpoint by name and shape. Pure. Source: golden README, section 1."""

from bagel.config import LlmConfig, ModelConfig, VaeConfig, VitConfig
from bagel.model.embeddings import TIME_FEATURES

Shapes = dict[str, tuple[int, ...]]
EMA_FILE = "ema.safetensors"
AE_FILE = "ae.safetensors"


def ema_shapes(config: ModelConfig) -> Shapes:
    """Tensors of `ema.safetensors`: everything except the VAE. Weights are [out, in]."""
    hidden, vit = config.llm.hidden_size, config.vit
    shapes: Shapes = _llm_shapes(config.llm)
    shapes |= _linear("time_embedder.mlp.0", TIME_FEATURES, hidden)
    shapes |= _linear("time_embedder.mlp.2", hidden, hidden)
    shapes |= _linear("vae2llm", config.token_channels, hidden)
    shapes |= _linear("llm2vae", hidden, config.token_channels)
    shapes |= _linear("connector.fc1", vit.hidden_size, hidden)
    shapes |= _linear("connector.fc2", hidden, hidden)
    shapes["latent_pos_embed.pos_embed"] = (config.max_latent_size**2, hidden)
    shapes["vit_pos_embed.pos_embed"] = (config.vit_grid_side**2, hidden)
    return shapes | _vit_shapes(vit)


def ae_shapes(config: VaeConfig) -> Shapes:
    """Tensors of `ae.safetensors`."""
    widths = [config.channels * m for m in config.channel_multipliers]
    last = widths[-1]
    shapes: Shapes = {}
    shapes |= _conv("encoder.conv_in", config.in_channels, config.channels, 3)
    before = config.channels
    for level, width in enumerate(widths):
        for block in range(config.num_res_blocks):
            shapes |= _res_block(f"encoder.down.{level}.block.{block}", before, width)
            before = width
        if level < len(widths) - 1:
            shapes |= _conv(f"encoder.down.{level}.downsample.conv", width, width, 3)
    shapes |= _vae_end("encoder", last, 2 * config.z_channels, last)
    shapes |= _conv("decoder.conv_in", config.z_channels, last, 3)
    before = last
    for level in reversed(range(len(widths))):
        for block in range(config.num_res_blocks + 1):
            shapes |= _res_block(f"decoder.up.{level}.block.{block}", before, widths[level])
            before = widths[level]
        if level > 0:
            shapes |= _conv(f"decoder.up.{level}.upsample.conv", before, before, 3)
    return shapes | _vae_end("decoder", before, config.out_channels, last)


def _llm_shapes(llm: LlmConfig) -> Shapes:
    hidden, top = llm.hidden_size, "language_model.model"
    shapes: Shapes = {
        f"{top}.embed_tokens.weight": (llm.vocab_size, hidden),
        "language_model.lm_head.weight": (llm.vocab_size, hidden),
        f"{top}.norm.weight": (hidden,),
        f"{top}.norm_moe_gen.weight": (hidden,),
    }
    for index in range(llm.num_layers):
        for suffix in ("", "_moe_gen"):
            shapes |= _layer_shapes(llm, f"{top}.layers.{index}", suffix)
    return shapes


def _layer_shapes(llm: LlmConfig, at: str, suffix: str) -> Shapes:
    hidden, d, mid = llm.hidden_size, llm.head_dim, llm.intermediate_size
    shapes: Shapes = {
        f"{at}.input_layernorm{suffix}.weight": (hidden,),
        f"{at}.post_attention_layernorm{suffix}.weight": (hidden,),
        f"{at}.self_attn.q_norm{suffix}.weight": (d,),
        f"{at}.self_attn.k_norm{suffix}.weight": (d,),
        f"{at}.self_attn.o_proj{suffix}.weight": (hidden, hidden),
        f"{at}.mlp{suffix}.gate_proj.weight": (mid, hidden),
        f"{at}.mlp{suffix}.up_proj.weight": (mid, hidden),
        f"{at}.mlp{suffix}.down_proj.weight": (hidden, mid),
    }
    shapes |= _linear(f"{at}.self_attn.q_proj{suffix}", hidden, llm.num_heads * d)
    shapes |= _linear(f"{at}.self_attn.k_proj{suffix}", hidden, llm.num_kv_heads * d)
    return shapes | _linear(f"{at}.self_attn.v_proj{suffix}", hidden, llm.num_kv_heads * d)


def _vit_shapes(vit: VitConfig) -> Shapes:
    size, top = vit.hidden_size, "vit_model.vision_model"
    shapes = _linear(f"{top}.embeddings.patch_embedding", vit.num_channels * vit.patch_size**2, size)
    shapes[f"{top}.embeddings.position_embedding.weight"] = (vit.num_positions, size)
    for index in range(vit.num_layers):
        at = f"{top}.encoder.layers.{index}"
        shapes |= _norm(f"{at}.layer_norm1", size) | _norm(f"{at}.layer_norm2", size)
        shapes |= _linear(f"{at}.mlp.fc1", size, vit.intermediate_size)
        shapes |= _linear(f"{at}.mlp.fc2", vit.intermediate_size, size)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= _linear(f"{at}.self_attn.{name}", size, size)
    return shapes | _norm(f"{top}.post_layernorm", size)


def _vae_end(side: str, width: int, channels_out: int, mid_width: int) -> Shapes:
    shapes: Shapes = {}
    for block in ("block_1", "block_2"):
        shapes |= _res_block(f"{side}.mid.{block}", mid_width, mid_width)
    shapes |= _norm(f"{side}.mid.attn_1.norm", mid_width)
    for name in ("q", "k", "v", "proj_out"):
        shapes |= _conv(f"{side}.mid.attn_1.{name}", mid_width, mid_width, 1)
    return shapes | _norm(f"{side}.norm_out", width) | _conv(f"{side}.conv_out", width, channels_out, 3)


def _res_block(at: str, channels_in: int, channels_out: int) -> Shapes:
    shapes = _norm(f"{at}.norm1", channels_in) | _conv(f"{at}.conv1", channels_in, channels_out, 3)
    shapes |= _norm(f"{at}.norm2", channels_out) | _conv(f"{at}.conv2", channels_out, channels_out, 3)
    if channels_in != channels_out:
        shapes |= _conv(f"{at}.nin_shortcut", channels_in, channels_out, 1)
    return shapes


def _linear(at: str, size_in: int, size_out: int) -> Shapes:
    return {f"{at}.weight": (size_out, size_in), f"{at}.bias": (size_out,)}


def _conv(at: str, channels_in: int, channels_out: int, kernel: int) -> Shapes:
    return {f"{at}.weight": (channels_out, channels_in, kernel, kernel), f"{at}.bias": (channels_out,)}


def _norm(at: str, size: int) -> Shapes:
    return {f"{at}.weight": (size,), f"{at}.bias": (size,)}
