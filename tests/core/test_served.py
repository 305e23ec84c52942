"""Generation by a server gives what the model itself gives; a stand-in speaks vLLM's part of OpenAI's API."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig, LlamaConfig

from core.errors import UserError
from core.inference.chat import Chat
from core.inference.generation import generate
from core.inference.scoring import score_choices
from core.models import loading, served
from core.models.tokenization import train_bpe

TEXTS = ["one two three four five six seven eight nine ten", "the capital of france is paris", "four\nfive\nsix"]
PROMPTS = ["one two", "the capital of france is ", "four\n", "seven"]


class StandIn(ThreadingHTTPServer):
    """Serves one model of transformers, a request at a time; `answers` overrides what it says."""

    def __init__(self, model: Any, tokenizer: Any, root: str) -> None:
        self.model, self.tokenizer, self.root = model, tokenizer, root
        self.requests: list[dict[str, Any]] = []
        self.answers: list[tuple[int, str]] = []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        ids, new = list(body["prompt"]), list[int]()
        while len(new) < body["max_tokens"]:
            with torch.inference_mode():
                new.append(int(self.model(torch.tensor([ids + new])).logits[0, -1].argmax()))
            text = self.tokenizer.decode(new, skip_special_tokens=body["skip_special_tokens"])
            if new[-1] in body["stop_token_ids"] or any(mark in text for mark in body["stop"]):
                break
        return {"index": 0, "text": text, "token_ids": new} if body.get("return_token_ids") else {"text": text}


class Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_GET(self) -> None:
        card = {"id": "tuned", "root": self.server.root, "parent": None, "max_model_len": 96}
        self.say(200, json.dumps({"object": "list", "data": [card]}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append(body)
            if self.server.answers:
                self.say(*self.server.answers.pop(0))
            else:
                self.say(200, json.dumps({"choices": [self.server.complete(body)]}))

    def say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model whose checkpoint asks for sampling with penalties, and ends with two tokens."""
    folder = tmp_path_factory.mktemp("checkpoint")
    tokenizer = train_bpe(TEXTS, 300)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = loading.from_config(LlamaConfig(vocab_size=300, max_position_embeddings=128, **shape), seed=3)
    model.generation_config = GenerationConfig(
        eos_token_id=[2, 41], pad_token_id=0, do_sample=True, temperature=0.6, repetition_penalty=1.5
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def server(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    monkeypatch.delenv(served.VARIABLE, raising=False)
    stand_in = StandIn(*loading.load(checkpoint, dtype="float32"), root=str(checkpoint))
    threading.Thread(target=stand_in.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv(served.VARIABLE, f"{stand_in.url}/v1/")
    monkeypatch.setattr(served, "PAUSE", 0.0)
    yield stand_in
    stand_in.shutdown()
    stand_in.server_close()


@pytest.mark.parametrize("options", [{}, {"stop": ["\n", "ee"]}, {"ends": [7, 100]}, {"repetition_penalty": 1.0}])
def test_a_served_model_writes_what_it_writes_here(server: StandIn, checkpoint: Path, options: dict[str, Any]) -> None:
    model, tokenizer = loading.load(checkpoint)
    assert isinstance(model, served.Served)
    seen: list[tuple[int, int]] = []
    there = generate(model, tokenizer, PROMPTS, max_new_tokens=12, progress=lambda *p: seen.append(p), **options)
    assert there == generate(server.model, tokenizer, PROMPTS, max_new_tokens=12, **options)
    assert seen[-1] == (4, 4)


def test_stops_are_told_where_the_prompt_does_not_end_in_one(server: StandIn, checkpoint: Path) -> None:
    generate(*loading.load(checkpoint), ["one", "one "], max_new_tokens=2, stop=[" "])
    assert sorted(body["stop"] for body in server.requests) == [[], [" "]]


def test_what_is_not_asked_for_is_neutral_and_every_prompt_has_its_own_seed(server: StandIn, checkpoint: Path) -> None:
    model, tokenizer = loading.load(checkpoint)
    for seed in (1, 1, 2):
        generate(model, tokenizer, ["one", "one"], max_new_tokens=2, temperature=0.7, top_p=0.9, seed=seed)
    asked = server.requests
    neutral = {"top_k": 0, "min_p": 0.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "repetition_penalty": 1.0}
    assert all(
        body.items() >= (neutral | {"temperature": 0.7, "top_p": 0.9, "model": "tuned"}).items() for body in asked
    )
    assert all(body["stop_token_ids"] == [2, 41] and body["ignore_eos"] for body in asked)
    first, again, other = ({body["seed"] for body in asked[start : start + 2]} for start in (0, 2, 4))
    assert first == again
    assert len(first) == 2
    assert not first & other


def test_a_chat_may_be_behind_a_server(server: StandIn, checkpoint: Path) -> None:
    model, tokenizer = loading.load(checkpoint)
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    turns = [[{"role": "user", "content": "one two"}]]
    there, here = (Chat(each, tokenizer).reply(turns, max_new_tokens=6) for each in (model, server.model))
    assert there == here


def test_an_adapter_is_asked_for_by_its_folder_and_has_its_bases_length(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = {"id": "base", "root": str(checkpoint), "parent": None, "max_model_len": 64}
    tuned = {"id": "adapter", "root": "somewhere", "parent": "base", "max_model_len": None}
    monkeypatch.setenv(served.VARIABLE, "http://host")
    monkeypatch.setattr(served, "_cards", lambda url: [base, tuned])
    found = served.served("somewhere", lambda spec: GenerationConfig())
    assert found is not None
    assert (found.name, found.longest) == ("adapter", 64)
    assert served.served("another/model", lambda spec: GenerationConfig()) is None


def test_other_models_and_tasks_are_loaded_here(server: StandIn, checkpoint: Path, tmp_path: Path) -> None:
    server.model.save_pretrained(tmp_path)
    server.tokenizer.save_pretrained(tmp_path)
    assert isinstance(loading.load(tmp_path).model, torch.nn.Module)
    assert isinstance(loading.load(checkpoint, task="encoder").model, torch.nn.Module)


def test_a_busy_server_is_asked_again(server: StandIn, checkpoint: Path) -> None:
    server.answers = [(503, "starting"), (429, "busy")]
    assert generate(*loading.load(checkpoint), ["one"], max_new_tokens=3) == [
        *generate(server.model, server.tokenizer, ["one"], max_new_tokens=3)
    ]


def test_each_mistake_is_one_sentence(server: StandIn, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = loading.load(checkpoint)

    def asked(**options: Any) -> list[str]:
        return generate(model, tokenizer, ["one"], **{"max_new_tokens": 3, **options})

    with pytest.raises(UserError, match="greedily or samples: ask for num_beams = 1"):
        asked(num_beams=2)
    with pytest.raises(UserError, match="takes 1 to 0"):
        asked(max_new_tokens=96)
    with pytest.raises(
        UserError, match="only generates, and `device` needs the model itself: unset MULTILINGUAL_PAPERS_SERVER"
    ):
        score_choices(model, tokenizer, ["one"], [["a", "b"]])
    server.answers = [(400, "no such model")]
    with pytest.raises(UserError, match="did not answer \\(400: no such model\\)"):
        asked()
    server.answers = [(500, "broken")] * served.ATTEMPTS
    with pytest.raises(UserError, match="500: broken"):
        asked()
    server.answers = [(200, "<html>")]
    with pytest.raises(UserError, match="does not speak OpenAI's API"):
        asked()
    server.answers = [(200, json.dumps({"choices": [{"text": "two"}]}))]
    with pytest.raises(UserError, match=r"gives no token ids .* vLLM from 0\.10\.2"):
        asked()
    for address, reason in (("localhost", "is no address"), ("http://127.0.0.1:9", "did not answer .*Connect")):
        monkeypatch.setenv(served.VARIABLE, address)
        with pytest.raises(UserError, match=reason):
            loading.load(checkpoint)
