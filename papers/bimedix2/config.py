"""Settings of every scale and variant of BiMediX2.

"script": the authors' stage1_train.sh and stage2_train.sh. "ours, development split": chosen on pictures, findings and
conditions that are never tested (`results/settings.jsonl`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate
from core.training.config import TrainingConfig

if TYPE_CHECKING:
    import torch

    from core.cost.steps import Simulation
    from core.cost.workload import Workload

Stage = Literal["align", "instruct"]
_SCRATCH = TrainingConfig(
    steps=700, batch_size=8, max_length=128, learning_rate=3e-3, schedule="linear", warmup=20, precision="fp32"
)
_ALIGN = replace(
    _SCRATCH, steps=300, batch_size=16, learning_rate=5e-3, schedule="cosine", warmup=0.03, layout="padded"
)
_INSTRUCT = replace(_ALIGN, steps=200, batch_size=24, learning_rate=3e-3)


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Of weights, pictures, order of the data, and of the findings and conditions that are tested."""
    split: Literal["test", "dev"] = "test"
    """Which findings and conditions of the miniature are asked about; settings were chosen on dev."""

    language_model: str = ""
    """Hub id or folder of a causal language model. Empty: a small one that has read about diseases and pictures in both
    languages, and has seen none."""
    vision: str = ""
    """Hub id or folder of an image encoder. Empty: a small one that was trained to tag pictures."""
    image_token: str = "<image>"
    """A token of the vocabulary that texts never contain, in place of a picture. LLaVA has an id of its own, -200."""
    dtype: Literal["float32", "bfloat16", "auto"] = "float32"
    """Number format of the frozen weights."""

    stages: tuple[Stage, ...] = ("align", "instruct")
    """align: the projector on captions (script 1); instruct: adapters and projector on conversations (script 2). None:
    the language model as it is, for text alone."""
    align: TrainingConfig = field(default_factory=lambda: _ALIGN)
    """Stage 1; the miniature's is ours, development split."""
    instruct: TrainingConfig = field(default_factory=lambda: _INSTRUCT)
    """Stage 2; the miniature's is ours, development split."""
    rank: Annotated[int, Range(1)] = 8
    """Of the adapters, whose alpha is twice as much (script: 8 and 16; LLaVA-pp's default: 128 and 256)."""
    dropout: Annotated[float, Range(0, 0.99)] = 0.0
    """On the adapters' input (LLaVA's default: 0.05)."""
    projector_rate: Annotated[float, Range(0)] = 0.1
    """Learning rate of the projector in stage 2, as a share of the adapters' (script: 2e-5 of 2e-4)."""
    base: TrainingConfig = field(default_factory=lambda: _SCRATCH)
    """Pre-training of the small language model; read only without `language_model`."""
    tagging: Annotated[int, Range(1)] = 500
    """Steps in which the small image encoder learns to tag pictures; ours, development split."""

    captions: tuple[str, ...] = ()
    """Pictures with captions for stage 1, in LLaVA's format. Empty: the miniature's."""
    conversations: tuple[str, ...] = ()
    """Conversations with and without pictures for stage 2, in LLaVA's format. Empty: the miniature's."""
    images: str = ""
    """Folder that the rows' pictures are in."""
    image_languages: tuple[str, ...] = ()
    """Conversations about pictures in these languages alone; empty = in all. Their script tells them."""
    text: bool = True
    """Conversations without pictures are among them."""
    shuffled: bool = False
    """Every picture has the captions and answers of another one, every text the answer of another one: the null arm."""

    vqa: tuple[str, ...] = ()
    """Questions about pictures: rows with `image` (SLAKE: `img_name`), `question` and `answer`."""
    mcqa: tuple[str, ...] = ()
    """Multiple-choice questions without pictures, by benchmark, with columns of MedMCQA, MedQA, MMLU or PubMedQA."""
    max_new_tokens: Annotated[int, Range(1)] = 40
    """Longest answer; 1,024 in the authors' evaluation."""
    limit: Annotated[int, Range(0)] = 0
    """The first so many rows of each source (miniature: pictures of a kind, and questions); 0 = all."""

    def __post_init__(self) -> None:
        """Refuse combinations that no single field can refuse."""
        validate(self)
        own = bool(self.language_model)
        if own != bool(self.vision):
            raise UserError("Give both --language-model and --vision, or neither.")
        if own and "instruct" in self.stages and not self.conversations:
            raise UserError("A language model of yours needs data: give --conversations, and --captions for stage 1.")
        if own and "align" in self.stages and not self.captions:
            raise UserError("Stage 1 needs --captions: give them, or leave it out with --stages instruct.")
        if not own and (self.captions or self.conversations or self.vqa or self.mcqa):
            raise UserError("Data of yours need models: give --language-model and --vision.")
        if self.stages not in ((), ("instruct",), ("align", "instruct")):
            raise UserError("stages is `align instruct`, `instruct` or nothing.")


MMLU = (
    "clinical_knowledge", "college_biology", "college_medicine", "medical_genetics", "professional_medicine", "anatomy",
)  # fmt: skip
_ONE_EPOCH = TrainingConfig(
    epochs=1, batch_size=64, micro_batch_size=8, max_length=2048, learning_rate=1e-3, warmup=0.03, precision="bf16",
    gradient_checkpointing=True, layout="padded", save_every=1000, strategy="ddp",
)  # fmt: skip
PAPER_SCALE = Config(
    language_model="meta-llama/Llama-3.1-8B-Instruct", vision="openai/clip-vit-large-patch14-336",
    image_token="<|reserved_special_token_0|>", dtype="bfloat16",
    captions=("data/BiMed-V_stage1.json",), conversations=("data/BiMed-V_stage2.json",), images="data/images",
    dropout=0.05, align=_ONE_EPOCH, instruct=replace(_ONE_EPOCH, max_length=4096, learning_rate=2e-4),
    vqa=("flaviagiammarino/vqa-rad#default@test", "flaviagiammarino/path-vqa#default@test", "data/slake/test.json"),
    mcqa=(
        *(f"cais/mmlu#{subject}@test" for subject in MMLU),
        "openlifescienceai/medmcqa@validation", "GBaker/MedQA-USMLE-4-options@test", "qiaojin/PubMedQA#pqa_labeled",
    ),
    max_new_tokens=1024,
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": Config(
        base=replace(_SCRATCH, steps=2, batch_size=2), tagging=2, align=replace(_ALIGN, steps=2, batch_size=2),
        instruct=replace(_INSTRUCT, steps=2, batch_size=4), limit=1, max_new_tokens=4,
    ),
    "tiny": Config(),
    "paper": PAPER_SCALE,
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "base": {"stages": ()},
    "bimedix2": {},
    "english-pictures": {"image_languages": ("en",)},
    "without-stage-1": {"stages": ("instruct",)},
    "without-text": {"text": False},
    "shuffled": {"shuffled": True},
}

# Shapes of the miniature: of the small language model, and of its image encoder (16 patches of 12 x 12 pixels).
WIDTH, LAYERS, VOCABULARY = 96, 3, 2000
# Rows of the published files are shown as 467 thousand for stage 1; 1.6 million samples in all (abstract). Text of a
# sample: assumed.
_CAPTIONS, _SAMPLES, _TEXT = 467_000, 1_600_000, 200


def scratch_shape(vocabulary: int) -> Any:
    """The small language model."""
    from core.models.architectures import miniature

    return miniature(vocabulary, width=WIDTH, layers=LAYERS, heads=4, feed_forward=256, positions=512)


def encoder_shape() -> Any:
    """The miniature's image encoder."""
    from transformers import CLIPVisionConfig

    return CLIPVisionConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, image_size=48, patch_size=12,
        architectures=["CLIPVisionModel"],
    )  # fmt: skip


def joined_shape(config: Config) -> Any:
    """The whole model, of the configurations of its parts."""
    from core.models.architectures import architecture
    from papers.bimedix2.method import llava_config

    language = architecture(config.language_model) if config.language_model else scratch_shape(VOCABULARY)
    vision = architecture(config.vision) if config.vision else encoder_shape()
    joined = llava_config(language, getattr(vision, "vision_config", vision), image_id=3)
    joined.architectures = ["LlavaForConditionalGeneration"]
    return joined


def workload(config: Config) -> list[Workload]:
    """What both stages compute, for `papers plan`: a picture takes 576 tokens."""
    from core.cost.workload import of_training
    from papers.bimedix2.method import patches

    shape = joined_shape(config)
    length = patches(shape.vision_config) + (_TEXT if config.language_model else 30)
    stages = {"align": (config.align, _CAPTIONS), "instruct": (config.instruct, _SAMPLES - _CAPTIONS)}
    return [
        of_training(
            settings, shape, (settings.steps * settings.batch_size or rows) * length,
            method="lora", lora_rank=config.rank, name=name,
        )
        for name, (settings, rows) in stages.items() if name in config.stages
    ]  # fmt: skip


def simulation(config: Config) -> list[Simulation]:
    """A step of both stages at its full length, and answers to questions about pictures, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, write
    from papers.bimedix2.method import multimodal_loss, patches

    shape = joined_shape(config)
    tokens, side = patches(shape.vision_config), shape.vision_config.image_size

    def built(dtype: torch.dtype, stage: Stage) -> Any:
        import torch
        from torch.nn.utils import parametrize

        from core.models.loading import from_config
        from papers.bimedix2.method import adapt, only_projector

        frozen = torch.bfloat16 if config.language_model else torch.float32
        model: Any = from_config(shape, seed=0, task="image-text", dtype=frozen)
        with parametrize.cached():  # PEFT looks at each weight a score of times
            return only_projector(model) if stage == "align" else adapt(model, config.rank, config.dropout)

    def batch(rows: list[int], rng: Any) -> Any:
        import torch

        ids = torch.full((len(rows), rows[0]), 5)
        ids[:, :tokens] = shape.image_token_id
        pictures = torch.zeros(len(rows), 3, side, side)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids, "pixel_values": pictures}

    def step(stage: Stage, settings: TrainingConfig, **others: Any) -> Simulation:
        model, row = partial(built, stage=stage), settings.max_length
        # The one thing that is read off a tensor is whether there are as many placeholders as patches.
        return Simulation(stage, model, settings, multimodal_loss, row, collate=batch, number=True, **others)

    answers = partial(write, prompt=tokens + (448 if config.language_model else 48), new=config.max_new_tokens, rows=64)
    return [step("align", config.align), step("instruct", config.instruct, evaluate=answers)]
