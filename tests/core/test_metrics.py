"""Metrics: known values, parity with the libraries behind them, and the modules that load offline."""

from __future__ import annotations

import math
import os
import re
import string
import subprocess
import sys
import unicodedata
from collections import Counter

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from core import metrics
from core.errors import UserError
from core.metrics import (
    answers,
    classification,
    confusion,
    languages,
    likelihood,
    representation,
    retrieval,
    translation,
)
from core.metrics.steps import step_rates

# ---------------------------------------------------------------- classification


def test_a_macro_mean_weighs_groups_alike():
    assert classification.macro_mean({"a/1": 1.0, "a/2": 0.0, "b/1/x": 0.0}) == 0.25
    assert classification.macro_mean({"a": 1.0, "b": 0.0}) == 0.5


def test_accuracy_and_macro_f1_by_hand():
    predictions, references = ["a", "a", "b", "c"], ["a", "b", "b", "b"]
    assert classification.accuracy(predictions, references) == 0.5
    # a: tp 1 fp 1 fn 0 -> 2/3; b: tp 1 fp 0 fn 2 -> 1/2; c: tp 0 -> 0
    assert classification.macro_f1(predictions, references) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert classification.macro_f1(predictions, references, labels=["a", "b"]) == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert classification.macro_f1(predictions, references, labels=["a", "b", "c", "d"]) == pytest.approx(
        (2 / 3 + 1 / 2) / 4
    )


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_macro_f1_agrees_with_sklearn(pairs):
    from sklearn.metrics import f1_score

    predictions, references = zip(*pairs, strict=True)
    assert classification.macro_f1(predictions, references) == pytest.approx(
        f1_score(references, predictions, average="macro", zero_division=0.0)
    )


def test_sides_must_correspond():
    with pytest.raises(ValueError, match="2 predictions but 1 references"):
        classification.accuracy([1, 2], [1])
    with pytest.raises(ValueError, match="nothing to score"):
        classification.macro_f1([], [])


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("prediction", "answer", "language", "exact", "f1"),
    [
        ("The Eiffel Tower!", "eiffel tower", "en", 1, 1),
        ("the tower", "Eiffel tower", "en", 0, 2 / 3),
        ("La torre", "torre", "es", 1, 1),
        ("La torre", "torre", "en", 0, 2 / 3),
        ("L'homme", "homme", "fr", 1, 1),
        ("the", "the", None, 1, 1),
        ("القَاهِرَة", "قاهره", "ar", 1, 1),
        ("١٢", "12", "ar", 1, 1),
        ("北京市", "北京", "zh", 0, 4 / 5),
        ("東京。", "東京", "ja", 1, 1),
        ("", "x", "en", 0, 0),
        ("the", "a", "en", 1, 1),  # nothing is left of either
        ("१२ ၁၂ ១២ ᠑᠒", "12 12 12 12", "en", 1, 1),
        ("İSTANBUL", "istanbul", "tr", 1, 1),
        ("Isparta", "ısparta", "tr", 1, 1),
        ("\u200f42\u200e", "42", "ar", 1, 1),
        ("cafe\u0301", "café", "fr", 1, 1),
        ("Die Stadt", "Stadt", "deu_Latn", 1, 1),
        ("ශ්‍රී ලංකාව", "ලංකාව", "si", 0, 2 / 3),
        ("a a b", "a b b", None, 0, 2 / 3),
    ],
)
def test_exact_match_and_f1(prediction, answer, language, exact, f1):
    assert answers.exact_match(prediction, answer, language) == exact
    assert answers.token_f1(prediction, answer, language) == pytest.approx(f1)


def test_the_best_of_several_answers_counts():
    assert answers.token_f1("blue whale", ["red", "whale", "the blue whale"]) == 1
    assert answers.squad(["x", "blue"], [["y", "x"], ["blue whale"]]) == {
        "exact_match": 0.5,
        "f1": pytest.approx((1 + 2 / 3) / 2),
    }
    with pytest.raises(ValueError, match="no reference"):
        answers.exact_match("x", [])


@given(st.text(max_size=20), st.text(max_size=20))
def test_answer_score_invariants(left, right):
    for language in ("en", "ar", "zh", "tr", None):
        f1, exact = answers.token_f1(left, right, language), answers.exact_match(left, right, language)
        assert 0 <= f1 <= 1
        assert f1 == pytest.approx(answers.token_f1(right, left, language))
        assert exact <= f1 + 1e-12
        assert answers.token_f1(left, left, language) == answers.exact_match(left, left, language) == 1


def test_english_agrees_with_the_squad_script():
    """SQuAD's own normalisation, written out, on ordinary English."""

    def normal(text: str) -> list[str]:
        text = "".join(c for c in text.lower() if c not in string.punctuation)
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    for left, right in [
        ("The cat sat.", "a cat"),
        ("An apple a day", "apple days"),
        ("42 men", "Forty-two men"),
        ("x", "y"),
    ]:
        common = (Counter(normal(left)) & Counter(normal(right))).total()
        expected = 2 * common / (len(normal(left)) + len(normal(right)))
        assert answers.token_f1(left, right) == pytest.approx(expected)


# ---------------------------------------------------------------- translation


HYPOTHESES = ["the cat sat on the mat", "a quick brown fox"]
REFERENCES = [["the cat sat on a mat", "a cat sat on the mat"], ["the quick brown fox", "a fast brown fox"]]
STREAMS = [list(stream) for stream in zip(*REFERENCES, strict=True)]


def test_bleu_and_chrf_are_sacrebleu_with_its_signature():
    bleu = translation.bleu(HYPOTHESES, REFERENCES)
    assert bleu.score == sacrebleu.corpus_bleu(HYPOTHESES, STREAMS).score
    assert "tok:13a" in bleu.signature
    assert f"version:{sacrebleu.__version__}" in bleu.signature
    assert "nrefs:2" in bleu.signature
    assert translation.chrf(HYPOTHESES, REFERENCES).score == sacrebleu.corpus_chrf(HYPOTHESES, STREAMS).score
    plus = translation.chrf(HYPOTHESES, REFERENCES, word_order=2)
    assert plus.score == sacrebleu.corpus_chrf(HYPOTHESES, STREAMS, word_order=2).score
    assert "nw:2" in plus.signature


def test_one_reference_may_be_a_string():
    assert translation.bleu(["a b c d"], ["a b c d"]).score == pytest.approx(100)
    assert translation.chrf(["ab"], ["ab"]) == translation.chrf(["ab"], [["ab"]])


@pytest.mark.parametrize(
    ("code", "tokenizer"),
    [
        (None, "13a"),
        ("de", "13a"),
        ("zh-Hans", "zh"),
        ("zho_Hant", "zh"),
        ("ja", "char"),
        ("th", "char"),
        ("ko", "13a"),
        ("cmn_Hani", "zh"),
        ("jv-Java", "char"),
    ],
)
def test_bleu_tokenizer(code, tokenizer):
    assert translation.bleu_tokenizer(code) == tokenizer


def test_chinese_without_spaces_gets_a_score():
    assert translation.bleu(["我们是学生。"], ["我们都是学生。"]).score < 1e-6  # one long "word"
    assert translation.bleu(["我们是学生。"], ["我们都是学生。"], "zh").score > 40


def test_normal_forms_score_alike():
    composed, decomposed = "né à l'été là", unicodedata.normalize("NFD", "né à l'été là")
    for function in (translation.bleu, translation.chrf):
        assert function([decomposed], [composed]).score == pytest.approx(100)
    assert translation.sentence_chrf(decomposed, composed) == pytest.approx(100)
    assert translation.sentence_bleu(composed, [decomposed]) == pytest.approx(100)


def test_sentence_scores():
    assert translation.sentence_chrf("abc", ["abd", "abc"]) == pytest.approx(100)
    assert translation.sentence_bleu("yes", "yes") == pytest.approx(100)  # shorter than four words
    assert translation.sentence_chrf("abc", "xyz") == 0


def test_round_trip_scores_are_those_of_sacrebleu():
    originals = ["the cat sat on the mat today", "dogs bark at night in the village", "ज़मीन"]  # changed by NFC
    returned = ["the cat sat on a mat today", "dogs bark in the village at night", "ज़मी"]
    scores = translation.round_trip_scores(originals, returned)
    assert scores["bleu"] == sacrebleu.corpus_bleu(returned, [originals]).score
    assert scores["chrf++"] == sacrebleu.CHRF(word_order=2).corpus_score(returned, [originals]).score
    assert scores["ter"] == sacrebleu.corpus_ter(returned, [originals]).score
    with pytest.raises(ValueError, match="nothing to score"):
        translation.round_trip_scores([], [])


def test_uneven_references_are_refused():
    with pytest.raises(ValueError, match="equally many references"):
        translation.bleu(["a", "b"], [["a"], ["b", "c"]])
    with pytest.raises(ValueError, match="equally many references"):
        translation.chrf(["a"], [[]])
    with pytest.raises(ValueError, match="1 predictions but 2"):
        translation.chrf(["a"], ["a", "b"])


# ---------------------------------------------------------------- steps


def test_each_step_is_rated_given_the_steps_before_it():
    rows = [(1, 1, 1), (1, 1, 0), (1, 0, 0), (0, 1, 1)]
    found = step_rates([dict(zip("abc", row, strict=True)) for row in rows])
    assert found.means == {"a": 0.75, "b": 0.75, "c": 0.5}
    assert found.given == {"b": pytest.approx(2 / 3), "c": 0.5}
    assert found.all_right == 0.25
    graded = step_rates([{"a": 0.4, "b": 0.6}, {"a": 0.7, "b": 0.2}], threshold=0.5)
    assert (graded.means["a"], graded.given["b"], graded.all_right) == (pytest.approx(0.55), 0.0, 0.0)
    assert math.isnan(step_rates([{"a": 0, "b": 1}]).given["b"])
    with pytest.raises(ValueError, match="no answer"):
        step_rates([])


@given(st.lists(st.tuples(*[st.booleans()] * 4), min_size=1, max_size=30))
def test_the_rates_of_steps_multiply(rows):
    scores = [dict(zip("abcd", map(float, row), strict=True)) for row in rows]
    found = step_rates(scores)
    product = found.means["a"] * math.prod(found.given.values())
    assert math.isnan(product) or found.all_right == pytest.approx(product)
    assert found.all_right <= min(found.means.values())


# ---------------------------------------------------------------- retrieval


MEXA = np.array([[0.9, 0.2, 0.1, 0.3], [0.4, 0.8, 0.85, 0.1], [0.1, 0.3, 0.7, 0.2], [0.5, 0.1, 0.6, 0.6]])


def test_retrieval_by_hand():
    # Rows: 0 right, 1 beaten by .85, 2 right, 3 ties. Columns: 0, 1 and 3 right, 2 beaten by .85.
    assert retrieval.hits(MEXA).tolist() == [1, 0, 1, 0]
    assert retrieval.hits(MEXA.T).tolist() == [1, 1, 0, 1]
    assert retrieval.accuracy_at_k(MEXA, ties="pass") == 0.75
    assert retrieval.accuracy_at_k(MEXA, ties="expected") == 0.625
    assert retrieval.accuracy_at_k(MEXA, k=2) == 1.0


def test_gold_candidates():
    similarity = [[0.1, 0.9, 0.3], [0.2, 0.8, 0.7]]
    assert retrieval.hits(similarity, gold=[1, 2]).tolist() == [1, 0]
    assert retrieval.hits(similarity, k=2, gold=[1, 2]).tolist() == [1, 1]


def test_collapse_retrieves_nothing():
    constant = np.ones((10, 10))
    assert retrieval.accuracy_at_k(constant) == 0
    assert retrieval.accuracy_at_k(constant, ties="expected") == pytest.approx(0.1)
    assert retrieval.accuracy_at_k(constant, k=3, ties="expected") == pytest.approx(0.3)
    assert retrieval.accuracy_at_k(constant, ties="pass") == 1


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 99))
def test_retrieval_invariants(n, k, seed):
    similarity = np.random.default_rng(seed).integers(0, 4, (n, n)).astype(float)
    fail, expected, lucky = (retrieval.hits(similarity, k, ties=ties) for ties in ("fail", "expected", "pass"))
    assert np.all(fail <= expected)
    assert np.all(expected <= lucky)
    assert np.all(retrieval.hits(similarity, k) <= retrieval.hits(similarity, k + 1))
    assert np.all(retrieval.hits(similarity * 3 - 7, k) == fail)  # any increasing map
    assert retrieval.accuracy_at_k(similarity, k=n) == 1


def test_cosine_similarity():
    left = np.array([[3.0, 4.0], [0.0, 0.0]])
    assert retrieval.cosine_similarity(left, np.array([[6.0, 8.0], [-4.0, 3.0]])) == pytest.approx(
        np.array([[1, 0], [0, 0]])
    )


@pytest.mark.parametrize(
    ("similarity", "arguments", "message"),
    [
        ([[math.nan, 1.0], [0.0, 1.0]], {}, "NaN"),
        ([[1.0]], {"k": 0}, "at least 1"),
        ([[1.0], [1.0]], {}, "index each"),
        ([[1.0, 2.0]], {"gold": [2]}, "index each"),
        ([1.0], {}, "matrix"),
    ],
)
def test_retrieval_refusals(similarity, arguments, message):
    with pytest.raises(ValueError, match=message):
        retrieval.hits(similarity, **arguments)


# ---------------------------------------------------------------- representation


def test_the_share_of_variance_is_scikit_learns_f_statistic_over_all_dimensions():
    from sklearn.feature_selection import f_classif

    rng = np.random.default_rng(0)
    vectors, groups = rng.normal(size=(40, 1)), rng.integers(3, size=40)
    vectors[groups == 1] += 2
    (f,), _ = f_classif(vectors, groups)
    explained = f * 2 / (f * 2 + 37)  # eta squared from F with 2 and 37 degrees of freedom
    assert representation.variance_share(vectors, list(groups)) == pytest.approx(explained)
    twice = np.concatenate([vectors, vectors], axis=1)
    assert representation.variance_share(twice + 5, list(groups)) == pytest.approx(explained)


def test_groups_explain_all_or_nothing():
    assert representation.variance_share([[1, 0], [1, 0], [0, 1]], ["a", "a", "b"]) == pytest.approx(1)
    assert representation.variance_share([[1, 0], [0, 1], [1, 0], [0, 1]], [0, 0, 1, 1]) == pytest.approx(0)
    rng = np.random.default_rng(1)
    drawn = [representation.variance_share(rng.normal(size=(20, 8)), [0, 1] * 10) for _ in range(200)]
    assert np.mean(drawn) == pytest.approx(1 / 19, rel=0.05)
    with pytest.raises(ValueError, match="do not fit"):
        representation.variance_share([[1.0]], [])
    assert math.isnan(representation.variance_share([[1.0], [1.0]], [0, 1]))


# ---------------------------------------------------------------- language confusion


RUSSIAN = "Это предложение написано на русском языке."
ENGLISH = "This whole sentence is written in English."
FRENCH = "Cette phrase est écrite dans la langue française."
GERMAN = "Dieser ganze Satz ist auf Deutsch geschrieben."


def test_pass_rates_by_hand():
    responses = [
        RUSSIAN,  # passes both
        f"{RUSSIAN}\n{ENGLISH}",  # one line of two is English
        "Это совершенно wonderful предложение на русском языке.",  # passes by line, not by word
        "да",  # too short to judge
        f"{RUSSIAN}\nOK",  # the short line is not judged
    ]
    found = confusion.language_confusion(responses, "ru")
    assert found.judged == 4
    assert found.line_pass_rate == 3 / 4
    assert found.word_pass_rate == 2 / 3
    assert found.pass_rate == pytest.approx(2 * (3 / 4) * (2 / 3) / (3 / 4 + 2 / 3))
    assert found.line_accuracy == pytest.approx((1 + 0.5 + 1 + 1) / 4)


def test_names_and_acronyms_are_no_english_words():
    found = confusion.language_confusion(["Компания Google купила новый сервер NVIDIA для языка python3."], "ru")
    assert found.word_pass_rate == 1


def test_latin_languages_have_no_word_rate():
    found = confusion.language_confusion([FRENCH, ENGLISH], "fr")
    assert found.line_pass_rate == 0.5
    assert math.isnan(found.word_pass_rate)
    assert found.pass_rate == 0.5


@pytest.mark.parametrize("expected", ["en", "fr", "deu_Latn", "ru"])
def test_the_defaults_can_fail_and_can_succeed(expected):
    lines = {"en": ENGLISH, "fr": FRENCH, "deu_Latn": GERMAN, "ru": RUSSIAN}
    for code, line in lines.items():
        assert confusion.language_confusion([line], expected).line_pass_rate == (code == expected)


def test_a_language_that_words_cannot_tell_is_refused():
    maltese = "Din is-sentenza hija miktuba bil-lingwa Maltija."
    for arguments in ({}, {"others": ["en", "ru"]}):
        with pytest.raises(UserError, match=r"cannot tell Maltese from English.*`identify`"):
            confusion.language_confusion([maltese], "mt", **arguments)
    assert confusion.language_confusion([maltese], "mt", others=["ru"]).line_pass_rate == 1
    assert confusion.language_confusion([maltese], "mt", identify=lambda line: "mlt_Latn").line_pass_rate == 1
    with pytest.raises(UserError, match="no language to tell English from"):
        confusion.language_confusion([ENGLISH], "en", others=["en", "eng_Latn"])
    with pytest.raises(UserError, match="cannot tell Croatian from Serbian"):
        confusion.language_confusion([ENGLISH], "hr", others=["sr-Latn"])


@pytest.mark.parametrize(
    ("said", "expected", "rate"),
    [("zh", "zh-Hans", 1), ("cmn_Hani", "zh", 1), ("zh-Hant", "zh-Hans", 0), ("nb", "no", 1), ("arb", "ar", 1)],
)
def test_an_identifier_may_spell_codes_as_it_likes(said, expected, rate):
    found = confusion.language_confusion(["一二三四五六 a b c d e"], expected, identify=lambda line: said)
    assert found.line_pass_rate == rate


@pytest.mark.parametrize(
    ("line", "expected", "rate"),
    [
        ("Он хорошо знает, что такое dérange, и говорит об этом.", "ru", 1),
        ("Он хорошо знает, что такое de\u0301range, и говорит об этом.", "ru", 1),
        ("Он хорошо знает, что такое range, и говорит об этом.", "ru", 0),
        ("这是我们今天在学校里说的那个非常wonderful的事情，大家都很高兴。", "zh", 0),
        ("นี่คือเรื่องที่เราพูดกันวันนี้ที่โรงเรียนดีwonderfulมากทุกคนมีความสุข", "th", 0),
    ],
)
def test_english_words_between_other_letters(line, expected, rate):
    assert confusion.language_confusion([line], expected).word_pass_rate == rate


def test_own_identifier_and_vocabulary():
    found = confusion.language_confusion([RUSSIAN], "ru", identify=lambda line: "bg")
    assert (found.line_pass_rate, found.pass_rate) == (0, 0)
    spoiled = RUSSIAN.replace("русском", "zorkish")
    assert confusion.language_confusion([spoiled], "ru").word_pass_rate == 1
    assert confusion.language_confusion([spoiled], "ru", vocabulary={"zorkish"}).word_pass_rate == 0


def test_nothing_to_judge_is_not_a_pass():
    found = confusion.language_confusion(["", "да"], "ru")
    assert found.judged == 0
    assert math.isnan(found.line_pass_rate)
    assert math.isnan(found.pass_rate)


def test_unspaced_scripts_count_characters():
    assert confusion.language_confusion(["我们今天去学校。"], "zh-Hans").judged == 1
    assert confusion.language_confusion(["これはペンです。"], "ja", others=["zh-Hans", "en"]).line_pass_rate == 1
    assert confusion.language_confusion(["我们今天去学校。"], "ja", others=["zh-Hans", "en"]).line_pass_rate == 0


# ---------------------------------------------------------------- likelihood


def test_likelihood_units():
    assert likelihood.perplexity(-2 * math.log(8), 2) == pytest.approx(8)
    assert likelihood.perplexity(-1e9, 1) == math.inf
    assert likelihood.bits_per_byte(-6 * math.log(2), "да") == pytest.approx(1.5)
    assert likelihood.letter_bits(["ab"], ["a"]) == pytest.approx(math.log2(258 / 2))
    assert likelihood.letter_bits(["ab"], ["c", "b"]) == pytest.approx((math.log2(258) + math.log2(129)) / 2)
    for function, argument in [
        (likelihood.perplexity, 0),
        (likelihood.bits_per_byte, ""),
    ]:
        with pytest.raises(ValueError, match="at least one"):
            function(-1.0, argument)


# ---------------------------------------------------------------- modules


CASES = {
    "accuracy": ([1, 2], [1, 3], {"accuracy": 0.5}),
    "macro_f1": (["a", "b"], ["a", "a"], {"macro_f1": pytest.approx(1 / 3)}),
    "squad": (["the blue whale"], [["blue whale"]], {"exact_match": 1.0, "f1": 1.0}),
    "bleu": (["a b c d"], [["a b c d"]], {"score": pytest.approx(100)}),
    "chrf": (["abc"], ["abc"], {"score": pytest.approx(100)}),
    "chrf++": (["abc"], ["abc"], {"score": pytest.approx(100)}),
    "retrieval": ([[0.9, 0.1], [0.8, 0.2]], [0, 1], {"accuracy_at_1": 0.5}),
    "language_confusion": ([RUSSIAN, ENGLISH], ["ru", "ru"], {"line_pass_rate": 0.5, "word_pass_rate": 1.0}),
    "pearson": ([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], {"pearson": pytest.approx(1)}),
    "spearman": ([1.0, 2.0, 3.0], [1.0, 9.0, 4.0], {"spearman": pytest.approx(0.5)}),
}


def test_every_module_has_a_case():
    assert set(CASES) == set(metrics.available())


@pytest.mark.parametrize("name", CASES)
def test_modules_compute(name):
    import evaluate

    predictions, references, expected = CASES[name]
    module = metrics.load(name)
    assert isinstance(module, evaluate.Metric)
    assert module.name == name
    result = module.compute(predictions=predictions, references=references)
    assert {key: result[key] for key in expected} == expected
    # The same by increments, and a second time with the same object.
    for prediction, reference in zip(predictions, references, strict=True):
        module.add(prediction=prediction, reference=reference)
    assert module.compute() == result


def test_codes_of_one_language_are_one_group():
    module = metrics.load("language_confusion")
    mixed = module.compute(predictions=[RUSSIAN, ENGLISH, FRENCH], references=["ru", "rus_Cyrl", "fr"])
    assert mixed["line_pass_rate"] == (0.5 + 1) / 2


def test_options_at_loading_and_at_computing():
    predictions, references = ["القاهرة"], ["قاهره"]
    assert (
        metrics.load("squad", language="ar").compute(predictions=predictions, references=references)["exact_match"] == 1
    )
    assert metrics.load("squad").compute(predictions=predictions, references=references)["exact_match"] == 0
    assert (
        metrics.load("squad").compute(predictions=predictions, references=references, language="ar")["exact_match"] == 1
    )
    assert metrics.load("retrieval", k=2).compute(predictions=[[0.9, 0.1]], references=[1]) == {"accuracy_at_2": 1.0}
    assert "tok:zh" in metrics.load("bleu", language="zh").compute(predictions=["我"], references=["我"])["signature"]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("chfr", {}, "Unknown metric 'chfr': did you mean 'chrf'"),
        ("qqqq", {}, "Unknown metric 'qqqq': it must be one of accuracy"),
        ("bleu", {"lang": "zh"}, "Metric 'bleu' takes no option 'lang'; it takes language"),
        ("accuracy", {"k": 1}, "it takes none"),
    ],
)
def test_unknown_metric_or_option(name, options, words):
    with pytest.raises(UserError, match=words):
        metrics.load(name, **options)


def test_rare_words_count_where_a_reference_has_them() -> None:
    known, recall = Counter(["a", "b"] * 2 + ["a", "c"]), translation.rare_word_recall
    assert [recall(text, "a b d b", known) for text in ("d b b", "a b", "a")] == pytest.approx([1.0, 1 / 3, 0.0])
    assert recall("a", "a a", known) is None


def test_modules_load_without_a_network(tmp_path):
    """In a fresh process with no hub, no caches and every connection refused."""
    code = """
import socket
def refuse(*a, **k): raise AssertionError("a connection was attempted")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from core import metrics
print(metrics.load("chrf").compute(predictions=["a b"], references=["a b"])["score"])
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "100.0", done.stderr[-2000:]


def test_import_is_light():
    code = "import sys, core.metrics.stats; print(any(m in sys.modules for m in ('torch', 'evaluate', 'datasets')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


# ---------------------------------------------------------------- scores of languages


def test_democratization_by_hand():
    found = languages.democratization({"en": 80, "sw": 20, "hi": 50})
    assert (found.share, found.mean, found.best, found.worst) == (62.5, 50, 80, 20)
    assert (found.best_language, found.worst_language) == ("en", "sw")
    assert languages.democratization({"en": 7, "sw": 7, "hi": 7}).share == 100
    assert math.isnan(languages.democratization({"en": 0, "sw": 0}).share)
    # It rises where nothing but the best language got worse; the mean says so.
    worse = languages.democratization({"en": 50, "sw": 20, "hi": 50})
    assert worse.share > found.share
    assert worse.mean < found.mean


@pytest.mark.parametrize(
    ("scores", "words"), [({}, "no score"), ({"sw": -1.0}, "score of sw is -1"), ({"sw": math.nan}, "finite")]
)
def test_scores_that_democratization_refuses(scores, words):
    with pytest.raises(UserError, match=words):
        languages.democratization(scores)


def test_off_target_rates_by_language_and_by_direction():
    outputs = [RUSSIAN, ENGLISH, GERMAN, "", "42", RUSSIAN]
    wanted = ["ru", "ru", "de", "de", "de", "ru"]
    found = languages.off_target(outputs, wanted)
    assert list(found) == ["ru", "de"]
    assert found["ru"] == languages.OffTarget(1 / 3, 3, 3)
    assert found["de"] == languages.OffTarget(0.5, 2, 3)  # the empty one is wrong, the number is not judged
    directions = ["en-ru", "en-ru", "en-de", "en-de", "en-de", "de-ru"]
    by_direction = languages.off_target(outputs, wanted, groups=directions)
    assert {name: rate.rate for name, rate in by_direction.items()} == {"en-ru": 0.5, "en-de": 0.5, "de-ru": 0.0}
    told = languages.off_target(["x", "x"], ["de", "sw"], identify=lambda text, code: "swh_Latn")
    assert (told["de"].rate, told["sw"].rate) == (1, 0)
    unjudged = languages.off_target(["42"], ["de"])["de"]
    assert math.isnan(unjudged.rate)
    assert unjudged.judged == 0
    with pytest.raises(ValueError, match="2 predictions but 1"):
        languages.off_target(["x", "x"], ["de"])


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [
        ("police killed the gunman", "police kill the gunman", 3 / 4),  # Lin 2004, section 3.1
        ("the gunman kill police", "police kill the gunman", 2 / 4),
        ("gunman", "police kill the gunman", 2 / 5),
        ("Police, kill!", "police kill", 1),
        ("今天去学校", "今天学校", 8 / 9),  # characters
        ("", "", 1),
        ("", "x", 0),
    ],
)
def test_rouge_l_by_hand(prediction, reference, score):
    assert answers.rouge_l(prediction, reference) == pytest.approx(score)
    assert answers.rouge_l(reference, prediction) == pytest.approx(score)
