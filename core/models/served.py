"""A model behind a server: it generates for `core.inference.generation`, and nothing else can be asked of it.

At the paper's scale an evaluation writes millions of tokens, which vLLM does several times as fast as a loop in
transformers. vLLM pins a torch of its own, so that it runs in an environment of its own, and is asked over HTTP:

    uvx vllm serve runs/lmt/paper/default/seed0/artifact --port 8000
    MULTILINGUAL_PAPERS_SERVER=http://localhost:8000 python -m papers.lmt.eval paper

`core.models.loading.load` then gives the server in place of each causal language model that it serves; everything
else is loaded as ever. Prompts, stops and ends are those of local generation, in token ids, and what is not asked for
is neutral: sampling defaults of the checkpoint or the server are overridden.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError, shorten

if TYPE_CHECKING:
    import httpx
    from transformers import GenerationConfig

VARIABLE = "MULTILINGUAL_PAPERS_SERVER"
# Requests at a time: vLLM batches what is under way, by default up to 256 sequences.
ABREAST = 256
# Attempts at one request, and seconds before the first repetition; each further one waits twice as long.
ATTEMPTS, PAUSE = 4, 1.0
# Seconds without an answer; long texts behind a full queue take minutes.
PATIENCE = 1800.0


@dataclass(frozen=True)
class Served:
    """A causal language model behind a server that speaks OpenAI's completions API with token ids (vLLM >= 0.10.2).

    Attributes:
        url: Address of the server, without `/v1`.
        name: What the server calls the model.
        longest: Tokens of prompt and answer together.
        generation_config: The checkpoint's, which names the tokens that end a text.
    """

    url: str
    name: str
    longest: int
    generation_config: GenerationConfig

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        raise UserError(
            f"{self.name} is behind the server {self.url}, which only generates, and `{attribute}` needs the model "
            f"itself: unset {VARIABLE} for this command"
        )

    def complete(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        stops: Sequence[Sequence[str]],
        ends: Sequence[int],
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        repetition_penalty: float,
        seed: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[list[int]]:
        """New token ids of every prompt, up to what ends it or a little beyond; the order is kept.

        Args:
            prompts: Token ids.
            stops: Strings that end a prompt's text, for each prompt.
            ends: Ids that end a text; the server's own do not.
            max_new_tokens: At most so many each.
            temperature: 0 = greedy.
            top_p: Share of probability that is sampled from.
            repetition_penalty: 1 = none.
            seed: Each prompt has a seed of its own that follows from this one and its place.
            progress: Called with (prompts done, prompts in all).

        Raises:
            UserError: The server does not answer, refuses, or gives no token ids.
        """
        import httpx

        fixed = {
            "model": self.name, "max_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p,
            "repetition_penalty": repetition_penalty, "stop_token_ids": list(ends), "ignore_eos": True,
            "skip_special_tokens": False, "return_token_ids": True,
            # Neutral, said aloud: a checkpoint's generation_config.json is the server's default.
            "top_k": 0, "min_p": 0.0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
        }  # fmt: skip

        def ask(number: int) -> list[int]:
            own = random.Random(f"{seed}/{number}").getrandbits(31)
            body = {**fixed, "prompt": list(prompts[number]), "stop": list(stops[number]), "seed": own}
            choice = _post(client, self.url, body)["choices"][0]
            if not isinstance(ids := choice.get("token_ids"), list):
                raise UserError(
                    f"the server {self.url} gives no token ids (`return_token_ids`): use vLLM from 0.10.2 on"
                )
            return ids

        found: dict[int, list[int]] = {}
        limits = httpx.Limits(max_connections=ABREAST)
        with httpx.Client(timeout=PATIENCE, limits=limits) as client, ThreadPoolExecutor(ABREAST) as pool:
            asked = {pool.submit(ask, number): number for number in range(len(prompts))}
            try:
                for done in as_completed(asked):
                    found[asked[done]] = done.result()
                    if progress is not None:
                        progress(len(found), len(prompts))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [found[number] for number in range(len(prompts))]


def served(spec: str | Path, generation_config: Callable[[str | Path], GenerationConfig]) -> Served | None:
    """The server that the variable `MULTILINGUAL_PAPERS_SERVER` names, if it serves this model; None otherwise.

    Args:
        spec: Hub id or folder, as in :func:`core.models.loading.load`. The server's name for the model, or where it has
            loaded it from (a model or a LoRA adapter), is this id or folder.
        generation_config: Reads that of a checkpoint.

    Raises:
        UserError: The server does not answer.
    """
    if not (url := os.environ.get(VARIABLE, "").rstrip("/").removesuffix("/v1")):
        return None
    cards = _cards(url)
    for card in cards:
        if any(_same(place, str(spec)) for place in (card["id"], card.get("root")) if place):
            return Served(url, card["id"], _longest(card, cards), generation_config(spec))
    return None


@cache
def _cards(url: str) -> list[dict[str, Any]]:
    import httpx

    with httpx.Client(timeout=30) as client:
        cards: list[dict[str, Any]] = _answer(url, lambda: client.get(f"{url}/v1/models"))["data"]
    return cards


def _longest(card: dict[str, Any], cards: Iterable[dict[str, Any]]) -> int:
    """Of an adapter that of its base: vLLM says it of the base alone."""
    known = {other["id"]: other.get("max_model_len") for other in cards}
    return int(card.get("max_model_len") or known.get(card.get("parent") or "") or 2**20)


def _same(place: str, spec: str) -> bool:
    return place == spec or (Path(spec).is_dir() and Path(place).resolve() == Path(spec).resolve())


def _post(client: httpx.Client, url: str, body: dict[str, Any]) -> dict[str, Any]:
    return _answer(url, lambda: client.post(f"{url}/v1/completions", json=body))


def _answer(url: str, ask: Callable[[], httpx.Response]) -> dict[str, Any]:
    """The JSON of an answer; what a busy or restarting server does not answer is asked again."""
    import httpx

    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            response = ask()
        except httpx.InvalidURL as error:
            raise UserError(f"{VARIABLE} = {url} is no address ({error}): write http://host:port") from None
        except httpx.TransportError as error:
            if isinstance(error, httpx.UnsupportedProtocol):
                raise UserError(f"{VARIABLE} = {url} is no address: write http://host:port") from None
            reason = f"{type(error).__name__}: {error}"
            continue
        if response.status_code < 400:
            try:
                content = response.json()
                return content if isinstance(content, dict) else {}
            except json.JSONDecodeError:
                raise UserError(f"{url} does not speak OpenAI's API: its answer is no JSON") from None
        reason = f"{response.status_code}: {shorten(response.text)}"
        if response.status_code < 500 and response.status_code != 429:
            break
    raise UserError(f"the server {url} did not answer ({reason}): look at its log, or unset {VARIABLE}")
