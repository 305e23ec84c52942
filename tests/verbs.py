"""Every verb with input that is right, for tests that damage a part of it.

One file is broken (`core/test_broken.py`), or the model is a folder with code (`test_trust.py`).

    {rows.jsonl}   a file of the desk that the verb reads
    <model>        a model; <run> is a run directory with one as its artifact
    lines.txt      what else is needed may be of the desk, too; `decoder` is a model
"""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import LlamaConfig, PreTrainedTokenizerFast, T5Config

from core.models import loading

NAMES = ["Ada", "Bea", "Cleo", "Dora", "Ella", "Fay", "Gia", "Hana", "Ida", "Jana", "Kira", "Lea"]
# A model that is nowhere: what comes so far has read its files.
NOWHERE = "nothing/here"
# A column for most readers of rows; texts of several words end with a name, so that rows differ.
ROW: dict[str, Any] = {
    "lang": "sw", "language": "sw", "source": "en", "target": "sw", "lang_in": "en", "lang_out": "sw",
    "en": "Good day", "sw": "Habari yako", "native": "Добрый день", "romanised": "Dobryj den", "prompt": "Greet her.",
    "source_text": "Good day", "target_text": "Habari yako", "text": "Habari yako", "response": "Habari yako",
    "instruction": "Greet her.", "input": "", "output": "Habari yako", "task": "greet", "question": "How many are",
    "answer": "3", "options": ["3", "4"], "targets": ["Habari"], "essay": "One says Habari to", "label": "1",
    "db_id": "music", "query": "SELECT 1", "prediction": "SELECT 1", "candidates": ["SELECT 1"], "score": 0.5,
    "kind": "cognate", "english": "Good day", "english_gloss": "a greeting of", "word": "habari",
    "gloss": "a greeting by", "english_negative": "a fish of", "negative": "a bird of", "synset": "greeting",
    "title": "Greetings of", "abstract": "How people greet", "judgement": "8 7\nGood", "category": "writing",
    "turns": ["Hi"], "benchmark": "x", "image": "1.png", "gpt4_answer": "An ear", "fig_caption": "A scan",
    "domain": {"mri": True}, "type": "detail", "instruction_en": "Greet her.", "response_en": "Good day",
    "response_xx": "Habari yako",
}  # fmt: skip


def rows(**told: Any) -> str:
    """Twelve rows of JSON."""
    found = []
    for number, name in enumerate(NAMES):
        text = {key: f"{v} {name}" if isinstance(v, str) and " " in v else v for key, v in ROW.items()}
        own = {"id": str(number), "question_id": str(number), "grade": ("Acceptable", "Unacceptable")[number % 2]}
        found.append({**own, **text, **told})
    return lines(found)


def lines(found: Iterable[object]) -> str:
    """Texts, or rows of JSON."""
    return "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in found)


def table(header: str, *cells: str) -> str:
    """A table with tabs, a row a name (`{0}`, in its place `{n}`); without cells, of texts of the row's columns."""
    columns = header.split()
    pattern = "\t".join(cells or [f"{ROW[column]} {{0}}" for column in columns])
    return lines(["\t".join(columns), *(pattern.format(name, n=n) for n, name in enumerate(NAMES))])


def models(folder: Path) -> Path:
    """Write a decoder and an encoder-decoder of five words, and give the folder."""
    words = {word: number for number, word in enumerate(["<pad>", "<eos>", "<unk>", "a", "b"])}
    backend = Tokenizer(WordLevel(words, unk_token="<unk>"))
    backend.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    decoder = LlamaConfig(vocab_size=5, hidden_size=8, intermediate_size=8, num_hidden_layers=2, num_attention_heads=1)
    both = T5Config(vocab_size=5, d_model=8, d_kv=8, d_ff=8, num_layers=1, num_heads=1, decoder_start_token_id=0)
    for name, config, task in (("decoder", decoder, "causal-lm"), ("seq2seq", both, "seq2seq")):
        loading.from_config(config, seed=0, task=task).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    (folder / "decoder" / "transmi.json").write_text("{}", encoding="utf-8")
    return folder


def desk(folder: Path, models: Path | None = None) -> None:
    """Write the files, and link the models of a folder."""
    call = {"id": "1", "user_message": "u", "functions": [], "expected_behavior": {"should_call_function": False}}
    source = {"path": "lines.txt", "category": "mono", "language": "sw"}
    paper = {"id": "a", "title": "A", "year": 2024, "month": 1, "languages": ["sw"], "task_category": "both"}
    sums = [
        {"id": f"{n}", "lang": code, "language": code, "question": f"{n} and {n}", "answer": f"{n}", "output": f"{n}"}
        for code in ("en", "sw")
        for n in range(9)
    ]
    vote = {"winner": "first", "language": "sw"}
    votes = [{**vote, "first": a, "second": b} for a, b in itertools.combinations(NAMES, 2)]
    scores = [f"{name}\t{test}\tsw\t0.{len(name) + n % 5}" for test in "xy" for n, name in enumerate(NAMES)]
    vectors = lines(f"{name} {number} {number**2}" for number, name in enumerate(NAMES))
    files = {
        # Rows, and rows of another language.
        "rows.jsonl": rows(), "en.jsonl": rows(lang="en", language="en"), "ar.jsonl": rows(lang="ar", language="ar"),
        "named.jsonl": rows(language="Swahili"), "twice.jsonl": rows(id="0"), "bare.jsonl": rows(negative=""),
        "sums.jsonl": lines(sums), "calls.jsonl": lines([{**call, "response": "r"}]), "votes.jsonl": lines(votes),
        "papers.jsonl": lines([paper]),
        "sources.jsonl": lines([source, {**source, "name": "x", "category": "english", "language": "en"}]),
        # Tables.
        "pairs.tsv": table("en sw"), "texts.tsv": table("text"), "names.tsv": table("en sw de", "{0}", "{0}", "{0}"),
        "origins.tsv": table("id token label", "{n}", "{0}", "name"), 
        "ratings.tsv": table("model language rating", "{0}", "sw", "{n}"),
        "scores.tsv": lines(["model\tbenchmark\tlanguage\tscore", *scores]), "sizes.tsv": "model\tsize\nAda\t1\n",
        "said.tsv": table("language id prediction", "swahili", "{n}", "a"), "known.tsv": "sw\t0.5\n",
        "words.tsv": lines(f"{name}\t{name}" for name in NAMES[:8]),
        "more.tsv": lines(f"{name}\t{name}" for name in NAMES[8:]),
        # Text and other kinds.
        "lines.txt": lines(f"Greet {name}" for name in NAMES), "names.txt": lines(NAMES), "texts/en.txt": lines(NAMES),
        "words.json": json.dumps({name: name for name in NAMES}), "names.vec": vectors,
        "pairs.srt": "1\n00:00:01,000 --> 00:00:02,000\nGood day\n", "list.md": '# A\n1. **"B."**\n2. **"C."**\n',
        "manifest.json": '{"blocks": {}, "languages": {}}', "mine.py": "def scorer(): return lambda *_: 1.0\n",
        # What verbs have written.
        "release/swahili/dev.jsonl": rows(), "map/source.vec": vectors, "map/target.vec": vectors,
        "map/map.safetensors": "", "neurons/chosen.json": '{"rate": 1, "bar": 0.5, "selection": "ours"}',
        "neurons/activity.json": '{"languages": ["sw"], "layers": {"model.layers.0.mlp": 8}}',
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    sqlite3.connect(folder / "music.sqlite").close()
    save_file({"shares": torch.ones(8, 1)}, folder / "neurons" / "activity.safetensors")
    task = {"places.x": torch.zeros(1).long(), "differences.x": torch.zeros(1), "head.y": torch.zeros(1)}
    save_file(task, folder / "task.safetensors", {"head": "sequence", "labels": '["a"]'})
    for model in models.iterdir() if models else ():
        (folder / model.name).symlink_to(model)


VERBS = (
    "tucan build --tools {.json}",
    "tucan build --templates {.yaml}",
    "tucan build --prompt.file {.yaml}",
    "tucan score --items {calls.jsonl} --answers {calls.jsonl}",
    "taco build --language Swahili --english {rows.jsonl} --translated {rows.jsonl}",
    "taco score --language Swahili --outputs {rows.jsonl} --references {named.jsonl}",
    "taco benchmark --model <model> --questions {rows.jsonl} --translated {rows.jsonl}",
    "taco ask --model <model>",
    "lmt build {pairs.tsv}",
    "lmt check {rows.jsonl}",
    "lmt translate --model <model> --source en --target sw",
    "three_stage_mt interlinear {.tmx} --languages en sw",
    "three_stage_mt interlinear {pairs.srt} pairs.srt --languages en sw",
    "three_stage_mt interlinear {lines.txt} lines.txt --languages en sw",
    "three_stage_mt interlinear {pairs.tsv} --languages en sw --tokenizer <model>",
    "three_stage_mt translate --model <model> --source en --target sw",
    "bayling2 mix --instructions en={rows.jsonl} --parallel sw:en={pairs.tsv}",
    "bayling2 measure --model <model> --tasks {rows.jsonl} --manifest {manifest.json}",
    "bayling2 chat --model <model> --message Hello",
    "marco_llm plan {sources.jsonl} --stage1 mono=1 --tokens 100 --tokenizer <model>",
    "marco_llm render {pairs.tsv} --languages en sw --similarity <model>",
    "marco_llm report --model <model> --corpus {pairs.tsv} --items 5",
    "cpt_mixing grid {sources.jsonl} --model <model> --test-corpus {pairs.tsv} --tokens 100",
    "cpt_mixing clean {rows.jsonl} --examples {pairs.tsv}",
    "cpt_mixing mixing {rows.jsonl} --examples {pairs.tsv}",
    "transmi adapt --model <model> --romanizer table:{words.tsv}",
    "transmi measure {pairs.tsv} --model <model> --adapted decoder",
    "transmi measure {pairs.tsv} --model decoder --adapted <model>",
    "muril measure {pairs.tsv} --model <model>",
    "muril measure {pairs.tsv} --model decoder --against <model>",
    "muril plan --sizes hi=100",
    "translico tune {texts.tsv} --model <model>",
    "translico tune {rows.jsonl} --model <model>",
    "translico tune {lines.txt} --model <model>",
    "translico barrier {lines.txt} --models <model>",
    "translico search --queries {lines.txt} --documents {lines.txt} --models <model>",
    "maltese_etymology process {lines.txt} --annotations {origins.tsv} --rankers pieces:<model>",
    "maltese_etymology process lines.txt --translations mt-en={.tsv}",
    "maltese_etymology transliterate {lines.txt} --rankers pieces:<model>",
    "maltese_etymology evaluate {origins.tsv} --rankers pieces:<model>",
    "multi_if evaluate decoder --data {.csv}",
    "multi_if evaluate <model> --topics 1",
    "multi_if evaluate decoder --words {.yaml}",
    "multi_if score {.csv} --data rows.jsonl",
    "multi_if selftest --words {.yaml}",
    "multi_if build {.yaml}",
    "mexa score {pairs.tsv} --model <model> --scores {known.tsv}",
    "mexa compare {pairs.tsv} --models <model> <model>",
    "mllm_survey tokens {pairs.tsv} --tokenizers bytes <model>",
    "mllm_survey card {pairs.tsv} --model <model>",
    "mllm_survey audit {list.md}",
    "mllm_survey suggest title --readme {list.md} --encoder <model>",
    "mllm_survey coverage --catalogue {.yaml}",
    "langsamp neutrality {pairs.tsv} --model <model>",
    "langsamp donors --tables release --target sw",
    "cloned_languages similarity {pairs.tsv} --model <model>",
    "cloned_languages clone {lines.txt} --tokenizer <model> --steps 2",
    "cloned_languages efficiency {.csv}",
    "lexical_specialization specialize {rows.jsonl} --model <model>",
    "lexical_specialization specialize {pairs.tsv} --model <model>",
    "lexical_specialization audit {pairs.tsv} --models <model> <model>",
    "lexical_specialization induce {lines.txt} --vocabulary {lines.txt} --model <model>",
    "lexical_specialization encode {lines.txt} --model <model>",
    "sinhala_alignment align {names.vec} names.vec words.tsv",
    "sinhala_alignment align names.vec {names.vec} words.tsv",
    "sinhala_alignment align names.vec names.vec {words.tsv} --test {more.tsv}",
    "sinhala_alignment translate map --words {names.txt}",
    "sinhala_alignment build {words.tsv} --source {names.txt} --target {names.vec} --train 4 --test 4",
    "sinhala_alignment compare {names.tsv} --vectors en={names.vec} sw=names.vec de=names.vec",
    "bistil trim {lines.txt} --model <model> --check {lines.txt}",
    "bistil apply {task.safetensors} --student <model>",
    "bistil report {rows.jsonl} --models <model>",
    "csr4mbart lexicon {lines.txt} {lines.txt} --model <model>",
    "csr4mbart tune {pairs.tsv} --source en --target sw --model <model>",
    "csr4mbart distance {pairs.tsv} --source en --target sw --models <model>",
    "bilingual_education audit all={rows.jsonl} --model <model>",
    "bilingual_education audit all=rows.jsonl --grader <model>",
    "bilingual_education tune all={rows.jsonl} --model <model>",
    "bilingual_education grade {rows.jsonl} --grader <model>",
    "bilingual_education mix {rows.jsonl} --lexicon {words.tsv} --column en",
    "multiloko score {said.tsv} said.tsv --references release",
    "multiloko evaluate {release} --model <model>",
    "multiloko build {rows.jsonl} --language ukrainian --human {rows.jsonl}",
    "multiloko normalise Habari --language swahili",
    "orthography_semantics build {rows.jsonl} --language sw --encoder <model>",
    "orthography_semantics probe {rows.jsonl} --model <model>",
    "orthography_semantics probe bare.jsonl --model decoder --negatives <model>",
    "orthography_semantics screen {rows.jsonl} --model <model>",
    "orthography_semantics screen bare.jsonl --model decoder --negatives <model>",
    "orthography_semantics compare {rows.jsonl} --model <model> --against decoder",
    "orthography_semantics compare {rows.jsonl} --model decoder --against <model>",
    "orthography_semantics compare bare.jsonl --model decoder --against decoder --negatives <model>",
    "dip prompt {lines.txt} --lexicon {words.tsv}",
    "dip prompt lines.txt --lexicon {words.json}",
    "dip fit {pairs.tsv} --source sw --merge {words.tsv}",
    "dip compare {rows.jsonl} --lexicon {words.tsv} --model <model> --examples {rows.jsonl}",
    "dip compare rows.jsonl --lexicon {words.json} --model <model>",
    "bimedix adapt {en.jsonl} --model <model> --language sw --second {rows.jsonl}",
    "bimedix translate {en.jsonl} --model <model> --language ar",
    "bimedix ask {en.jsonl} {rows.jsonl} --model <model> --language sw",
    "bimedix routing a={lines.txt} b={rows.jsonl} --model <model>",
    "bimedix2 ask <run> Why",
    "bimedix2 bench {rows.jsonl} --answers {rows.jsonl} --replies {rows.jsonl}",
    "bimedix2 bench rows.jsonl --model <run>",
    "bimedix2 score {rows.jsonl}",
    "parallel_scaling mti --before {rows.jsonl} --after {rows.jsonl} --trained sw",
    "parallel_scaling law {.csv}",
    "parallel_scaling audit {rows.jsonl}",
    "sql_contrastive encoder --pairs {rows.jsonl} --databases . --base <model>",
    "sql_contrastive rerank --candidates {rows.jsonl} --databases . --encoder <model>",
    "sql_contrastive score --predictions {rows.jsonl} --databases .",
    "xcot build --english {sums.jsonl} --translated {sums.jsonl} --language sw --lexicon {words.tsv}",
    "xcot score --outputs {sums.jsonl} --references {sums.jsonl} --low sw",
    "xllms100 feedback --instructions en={rows.jsonl} sw={rows.jsonl} --models <model>",
    "xllms100 convert {.jsonl}",
    "xllms100 measure {rows.jsonl} --model <model>",
    "selective_translation translate {rows.jsonl} --language Hindi --model <model>",
    "selective_translation audit {rows.jsonl} {rows.jsonl}",
    "selective_translation judge {rows.jsonl} {rows.jsonl} --language Hindi --replies {.jsonl}",
    "vega_mt clean {lines.txt} --source en --target sw --model <model>",
    "vega_mt clean lines.txt --source en --target sw --model seq2seq --back <model>",
    "vega_mt pseudo {pairs.tsv} --source en --target sw --model <model> --source-text {lines.txt}",
    "vega_mt pseudo pairs.tsv --source en --target sw --model <model> --target-text {lines.txt}",
    "vega_mt translate --source en --target sw --models <model>",
    "vega_mt punctuate {lines.txt}",
    "bitter_lesson trust {scores.tsv} --votes {votes.jsonl}",
    "bitter_lesson trust scores.tsv --ratings {ratings.tsv} --models {sizes.tsv}",
    "bitter_lesson compare {scores.tsv} --ratings ratings.tsv --first x --second y",
    "bitter_lesson ratings {.csv}",
    "bitter_lesson audit {papers.jsonl} --second {papers.jsonl}",
    "bitter_lesson collect {.yaml}",
    "bitter_lesson screen {rows.jsonl} --judge {rows.jsonl}",
    "bitter_lesson screen rows.jsonl --judge <model>",
    "language_neurons identify {rows.jsonl} --model <model>",
    "language_neurons grid {neurons} {rows.jsonl} --model <model>",
    "language_neurons compare {neurons} neurons",
    "language_neurons pairs {sums.jsonl} --model <model> --languages sw",
    "language_neurons pairs sums.jsonl --model decoder --languages sw --translator <model>",
    "xlingeval evaluate {sums.jsonl} --model <model> --languages sw --axes verifiability",
    "xlingeval evaluate sums.jsonl --model decoder --languages sw --axes consistency --encoder <model>",
    "xlingeval evaluate sums.jsonl --model decoder --languages sw --axes correctness --judge <model>",
    "xlingeval consistency {twice.jsonl} --encoder <model>",
    "xlingeval pairs {sums.jsonl} --languages sw",
    "xlingeval verify {sums.jsonl} --languages sw --scorer mine.py:scorer",
    "xlingeval verdicts {rows.jsonl}",
    "neobabel draw <run> lines.txt",
    "layer_swapping merge --task-expert <model> --language-expert decoder --out merged",
    "layer_swapping merge --task-expert decoder --language-expert <model> --out merged",
    "layer_swapping merge --task-expert decoder --language-expert decoder --base <model> --how ties --out merged",
    "layer_swapping change --base <model> --experts decoder",
    "layer_swapping change --base decoder --experts <model>",
    "layer_swapping search --task-expert <model> --language-expert decoder --evaluate mine.py:scorer",
    "layer_swapping search --task-expert decoder --language-expert <model> --evaluate mine.py:scorer",
)


def plain(row: str, model: str = NOWHERE) -> str:
    """The row as it is typed, with a model."""
    return re.sub(r"[{}]", "", row).replace("<model>", model).replace("<run>", model)


def by_file() -> list[str]:
    """A row for each file of a row, with that one in brackets."""
    found = [(row, match) for row in VERBS for match in re.finditer(r"{.*?}", row)]
    return [plain(row[: it.start()]) + it[0] + plain(row[it.end() :]) for row, it in found]
