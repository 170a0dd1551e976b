"""The toy model's tokenizer: byte-level BPE in the official format, learnt from the world's own language."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from bagel.contexts import SYSTEM_PROMPT_IMAGE, SYSTEM_PROMPT_TEXT
from training.language.captions import Detail, caption
from training.language.descriptions import describe
from training.language.instructions import instruction
from training.language.plain import plain
from training.language.questions import ask
from training.language.split import Split
from training.language.thoughts import answer_with_thought, edit_thought, image_thought
from training.world.edits import EditKind
from training.world.sample import Layout, Pool, sample_scene
from training.world.sample_edits import sample_edit

TOKENIZER_FILE = "tokenizer.json"
SENTENCES = 12_000  # of every kind of text
SYSTEM_REPEATS = 3_000  # the system prompts shall be few tokens
SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
# How Qwen2 splits text before merging; digits stand alone.
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_tokenizer(folder: Path, vocab_size: int) -> None:
    """Write `tokenizer.json` with ids below `vocab_size`. Deterministic; some seconds."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        min_frequency=3,
    )
    tokenizer.train_from_iterator(_sentences(), trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    tokenizer.save(str(folder / TOKENIZER_FILE), pretty=False)


def _sentences() -> Iterator[str]:
    rng = Random("bagel toy tokenizer")
    for _ in range(SYSTEM_REPEATS):
        yield from (SYSTEM_PROMPT_IMAGE, SYSTEM_PROMPT_TEXT)
    for _ in range(SENTENCES):
        scene = sample_scene(rng, rng.choice(tuple(Layout)), Pool.TRAIN)
        edit = sample_edit(rng, rng.choice(tuple(EditKind)), Pool.TRAIN)
        yield from (caption(scene, rng, Split.TRAIN, detail) for detail in Detail)
        yield from (instruction(edit, rng, Split.TRAIN), image_thought(scene), edit_thought(edit))
        for question, answer in (
            describe(scene, rng, Split.TRAIN),
            ask(scene, rng, Split.TRAIN),
            plain(rng, Split.TRAIN),
        ):
            yield from (question, answer_with_thought(question, answer))
