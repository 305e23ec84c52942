"""The parts of an assistant that sees: language model, image encoder, what each reads, and how it answers.

assistant = Assistant.load("runs/mine/artifact")
assistant.reply([[{"role": "user", "content": "<image>\\nWhat is this?"}]], ["scan.png"])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from core.errors import UserError
from core.files import load_facts
from core.models import loading
from core.models.tokenization import IGNORED
from core.models.vision import open_image
from papers.bimedix2.method import LLAMA3, Messages, caption_row, connect, conversation_row, patches, placed, spread

# Written beside the adapter, and what an assistant is made of.
FACTS, PARTS = "assistant.json", ("language", "vision", "image_token", "dtype")


@dataclass(frozen=True)
class Assistant:
    """A model that reads pictures and text, with what prepares both for it."""

    model: Any
    tokenizer: Any
    processor: Any
    """Of pictures: size, mean and deviation of the image encoder."""
    image_token: str
    """One of the tokenizer's that texts never contain."""

    @staticmethod
    def of(language: str | Path, vision: str | Path, image_token: str, dtype: str, seed: int) -> Assistant:
        """The two pretrained models with a fresh projector; who knows Llama 3's turns gets LLaVA-pp's layout of them.

        Raises:
            UserError: One of them cannot be loaded, or the token is not in the vocabulary.
        """
        lm, tokenizer = loading.load(language, dtype=dtype)
        encoder: Any = loading.load_model(vision, task="encoder", dtype=dtype)
        encoder = getattr(encoder, "vision_model", encoder)  # CLIP with its text side
        vocabulary = tokenizer.get_vocab()
        if image_token not in vocabulary:
            raise UserError(
                f"{language} has no token {image_token!r}: name one that texts never contain (image_token)."
            )
        if "<|start_header_id|>" in vocabulary:
            tokenizer.chat_template = LLAMA3
        return Assistant(
            connect(lm, encoder, vocabulary[image_token], seed), tokenizer, loading.load_processor(vision), image_token
        )

    @staticmethod
    def load(folder: str | Path) -> Assistant:
        """What `python -m papers.bimedix2.train` wrote, its adapters merged.

        Raises:
            UserError: The folder holds no such thing, or its parts cannot be loaded.
        """
        facts = load_facts(folder, FACTS, PARTS, "papers.bimedix2.train")
        found = Assistant.of(**{name: facts[name] for name in PARTS}, seed=0)
        tuned: Any = loading.load_adapter(found.model, Path(folder) / "adapter")
        dtype = next(found.model.model.language_model.parameters()).dtype
        return replace(found, model=tuned.merge_and_unload().to(dtype).eval())

    @property
    def tokens(self) -> int:
        """Tokens of a picture."""
        return patches(self.model.config.vision_config)

    def pixels(self, picture: Any, *, pad: bool = True) -> Float[Tensor, "3 height width"]:
        """What the image encoder reads of a file, a PIL image or bytes [height, width, 3].

        Stage 2 pads to a square with the mean colour; stage 1 leaves what sticks out of the middle away.
        """
        from PIL import Image

        picture = open_image(picture) if isinstance(picture, str | Path) else picture
        image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture.convert("RGB")
        if pad and image.width != image.height:
            side = max(image.size)
            square = Image.new("RGB", (side, side), tuple(int(255 * mean) for mean in self.processor.image_mean))
            square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
            image = square
        return self.processor(images=image, return_tensors="pt")["pixel_values"][0]

    def batch(self, samples: Sequence[Any], *, stage: str, max_length: int) -> dict[str, Tensor]:
        """Samples (`messages`, perhaps `image`) as one padded batch of stage 1 (`align`) or 2 (`instruct`).

        Raises:
            UserError: A sample's placeholders are not as many as its pictures.
        """
        read = caption_row if stage == "align" else conversation_row
        image_id, fill = self.model.config.image_token_id, {"input_ids": self.tokenizer.pad_token_id, "labels": IGNORED}
        columns: dict[str, list[Tensor]] = {"input_ids": [], "labels": [], "attention_mask": []}
        shown = []
        for sample in samples:
            row = read(self.tokenizer, sample["messages"], self.image_token, self.tokens)
            row = {name: values[:max_length] for name, values in row.items()}
            has = sample["image"] is not None
            if row["input_ids"].count(image_id) != has * self.tokens:
                raise UserError(
                    f"Sample {sample.get('id', '')} needs one {self.image_token} for its picture and none without one, "
                    f"within training.max_length = {max_length}."
                )
            shown += [self.pixels(sample["image"], pad=stage == "instruct")] if has else []
            for name, values in {**row, "attention_mask": [1] * len(row["labels"])}.items():
                columns[name].append(torch.tensor(values))
        found = {name: pad_sequence(rows, True, fill.get(name, 0)) for name, rows in columns.items()}
        return found | ({"pixel_values": torch.stack(shown)} if shown else {})

    @torch.inference_mode()
    def reply(
        self, conversations: Sequence[Messages], pictures: Sequence[Any], *, max_new_tokens: int = 1024, rows: int = 64
    ) -> list[str]:
        """The assistant's next turn of every conversation, greedily; a picture belongs to the placeholder, or is None.

        Args:
            conversations: Turns with `role` and `content`, the last of them the user's.
            pictures: One for each.
            max_new_tokens: Longest answer.
            rows: Conversations of a batch.
        """
        from transformers import GenerationConfig

        from core.inference.chat import Chat, render
        from core.models.tokenization import prompt_ids

        image_id, pad = self.model.config.image_token_id, self.tokenizer.pad_token_id
        texts = [render(self.tokenizer, placed(turns, self.image_token), prompt=True) for turns in conversations]
        read = [
            spread({"input_ids": list(prompt.ids)}, image_id, self.tokens)
            for prompt in prompt_ids(self.tokenizer, texts)
        ]
        ends = Chat(self.model, self.tokenizer).stop_ids()
        settings = GenerationConfig(do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=ends, pad_token_id=pad)
        order = sorted(range(len(read)), key=lambda number: -len(read[number]["input_ids"]))
        said: dict[int, str] = {}
        for some in (order[start : start + rows] for start in range(0, len(order), rows)):
            ids = [torch.tensor(read[n]["input_ids"]) for n in some]
            inputs = {"input_ids": pad_sequence(ids, True, pad, padding_side="left")}
            inputs["attention_mask"] = pad_sequence([torch.ones_like(row) for row in ids], True, padding_side="left")
            shown = [self.pixels(pictures[n]) for n in some if pictures[n] is not None]
            inputs |= {"pixel_values": torch.stack(shown).to(self.model.dtype)} if shown else {}
            inputs = {name: value.to(self.model.device) for name, value in inputs.items()}
            new = self.model.generate(**inputs, generation_config=settings)[:, len(ids[0]) :]
            said |= zip(some, self.tokenizer.batch_decode(new, skip_special_tokens=True), strict=True)
        return [said[number].strip() for number in range(len(read))]
