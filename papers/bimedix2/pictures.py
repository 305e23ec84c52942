"""Drawn pictures in five manners of medical imaging, with or without a spot, and what is said of them in two languages.

    picture = draw("mri", Finding("dark", "upper left"), np.random.default_rng(0))     # 48 x 48 x 3 bytes
    caption("mri", Finding("dark", "upper left"), "ar")
    questions("mri", Finding("dark", "upper left"), "en")      # five kinds, each with its answer

The manners are those of BiMed-MBench. They are cartoons: nothing here is medical, and no real picture was used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SIZE = 48
MODALITIES = ("xray", "mri", "histology", "gross", "ct")
SHADES, PLACES = ("bright", "dark", "ring-shaped"), ("upper left", "upper right", "lower left", "lower right")


class Finding(NamedTuple):
    """A spot: its shade and the quarter of the picture that it lies in."""

    shade: str
    place: str

    def __str__(self) -> str:
        return f"{self.shade} {self.place}".replace(" ", "-")


FINDINGS = tuple(Finding(shade, place) for shade in SHADES for place in PLACES)

# --- pictures -----------------------------------------------------------------------------------------------------


def draw(modality: str, finding: Finding | None, rng: np.random.Generator) -> np.ndarray:
    """One picture as bytes [48, 48, 3]; its anatomy is moved, scaled, lit and grained at random."""
    y, x = np.mgrid[:SIZE, :SIZE] / (SIZE - 1) * 2 - 1  # -1 to 1
    turn, scale = rng.uniform(-0.06, 0.06, 2), rng.uniform(0.92, 1.08)
    picture = _BACKGROUNDS[modality]((x - turn[0]) / scale, (y - turn[1]) / scale, rng)
    picture = picture[..., None].repeat(3, 2) if picture.ndim == 2 else picture
    if finding:
        centre = [(-0.38, 0.38)["right" in finding.place], (-0.38, 0.38)["lower" in finding.place]]
        cx, cy = np.array(centre) + rng.uniform(-0.09, 0.09, 2)
        radius, away = rng.uniform(0.19, 0.26), np.hypot(x - cx, y - cy)
        inside, core = (_soft(part * radius - away)[..., None] for part in (1, 0.6))
        level = {"bright": 0.97, "dark": 0.03, "ring-shaped": 0.97 - 0.94 * core}[finding.shade]
        picture = picture * (1 - inside) + inside * level
    lit = picture * rng.uniform(0.9, 1.1) + rng.uniform(-0.04, 0.04) + rng.normal(0, 0.03, (SIZE, SIZE, 1))
    return (lit.clip(0, 1) * 255).round().astype(np.uint8)


def _soft(distance: np.ndarray) -> np.ndarray:
    """1 inside, 0 outside, with an edge of two pixels."""
    return 0.5 + 0.5 * np.tanh(distance * 20)


def _oval(u: np.ndarray, v: np.ndarray, a: float, b: float, cx: float = 0.0, cy: float = 0.0) -> np.ndarray:
    return _soft(1 - np.hypot((u - cx) / a, (v - cy) / b))


def _wave(angle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.sin(angle + rng.uniform(0, 6))


def _xray(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    lungs, spine = _oval(abs(u), v, 0.36, 0.72, 0.45), _soft(0.1 - abs(u))
    return 0.68 - lungs * (0.3 - 0.06 * _wave(v * 16 + abs(u) * 3, rng)) + 0.12 * spine


def _mri(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    head, inner, ventricles = _oval(u, v, 0.8, 0.92), _oval(u, v, 0.7, 0.82), _oval(abs(u), v, 0.07, 0.2, 0.1)
    return 0.05 + 0.75 * head - inner * (0.35 - 0.05 * _wave(u * 14, rng) * _wave(v * 14, rng)) - 0.3 * ventricles


def _histology(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    tissue = np.array([0.88, 0.62, 0.76]) + 0.05 * _wave(u * 9 + v * 5, rng)[..., None]
    for cx, cy in rng.uniform(-1, 1, (26, 2)):
        nucleus = _soft(0.06 - np.hypot(u - cx, v - cy))[..., None]
        tissue = tissue * (1 - nucleus) + nucleus * np.array([0.42, 0.25, 0.6])
    return tissue


def _gross(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    angle = np.arctan2(v, u)
    outline = 0.82 + 0.07 * _wave(3 * angle, rng) + 0.04 * _wave(5 * angle, rng)
    organ = _soft(outline - np.hypot(u, v))[..., None]
    flesh = np.array([0.6, 0.28, 0.22]) + 0.05 * _wave(u * 6 + v * 8, rng)[..., None]
    return organ * flesh + (1 - organ) * np.array([0.35, 0.6, 0.65])


def _ct(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    body, fat, spine = _oval(u, v, 0.95, 0.74), _oval(u, v, 0.86, 0.64), _oval(u, v, 0.14, 0.14, 0, 0.5)
    return 0.03 + 0.27 * body + fat * (0.2 + 0.1 * _wave(u * 5, rng) * _wave(v * 6, rng)) + 0.4 * spine


_BACKGROUNDS = {"xray": _xray, "mri": _mri, "histology": _histology, "gross": _gross, "ct": _ct}

# --- words --------------------------------------------------------------------------------------------------------

WORDS = {
    "en": {
        "xray": "chest X-ray", "mri": "brain MRI", "histology": "tissue slide", "gross": "gross specimen",
        "ct": "abdominal CT", "yes": "yes", "no": "no", **{shade: shade for shade in SHADES},
        **{place: place for place in PLACES},
    },
    "ar": {
        "xray": "صورة شعاعية للصدر", "mri": "رنين مغناطيسي للدماغ", "histology": "شريحة نسيجية", "gross": "عينة عيانية",
        "ct": "صورة مقطعية للبطن", "bright": "فاتحة", "dark": "داكنة", "ring-shaped": "حلقية", "yes": "نعم", "no": "لا",
        "upper left": "أعلى اليسار", "upper right": "أعلى اليمين", "lower left": "أسفل اليسار",
        "lower right": "أسفل اليمين",
    },
}  # fmt: skip
# With and without a spot; the n-th of the two languages say alike.
CAPTIONS = {
    "en": (
        ("A {modality} with a {shade} spot in the {place}.", "A {modality} without a spot."),
        ("This {modality} shows a {shade} spot, {place}.", "This {modality} shows no spot."),
    ),
    "ar": (
        ("{modality} مع بقعة {shade} في {place}.", "{modality} دون أي بقعة."),
        ("تظهر هنا {modality} فيها بقعة {shade} في {place}.", "تظهر هنا {modality} لا بقعة فيها."),
    ),
}
# Kind -> wordings by language. `shade` lists its options, as closed questions other than yes and no do.
QUESTIONS = {
    "modality": {
        "en": ("What kind of image is this?", "Which imaging method was used?", "Name the type of this image."),
        "ar": ("ما نوع هذه الصورة؟", "أي طريقة تصوير استخدمت هنا؟", "اذكر نوع الصورة."),
    },
    "spot": {
        "en": ("Is there a spot?", "Does the image show a spot?", "Can a spot be seen here?"),
        "ar": ("هل توجد بقعة؟", "هل تظهر بقعة في الصورة؟", "هل يمكن رؤية بقعة هنا؟"),
    },
    "place": {
        "en": ("Where is the spot?", "In which part of the image is the spot?", "Name the position of the spot."),
        "ar": ("أين توجد البقعة؟", "في أي جزء من الصورة تقع البقعة؟", "حدد موضع البقعة."),
    },
    "shade": {
        "en": ("Is the spot bright, dark or ring-shaped?", "Which is the spot: bright, dark, ring-shaped?",
               "Say whether it is bright, dark or ring-shaped."),
        "ar": ("هل البقعة فاتحة أم داكنة أم حلقية؟", "ما البقعة: فاتحة أم داكنة أم حلقية؟",
               "قل هل هي فاتحة أم داكنة أم حلقية."),
    },
    "describe": {
        "en": ("Describe the image in detail.", "What can be seen here?", "Write a report on this image."),
        "ar": ("صف الصورة بالتفصيل.", "ماذا يمكن أن نرى هنا؟", "اكتب تقريرا عن هذه الصورة."),
    },
}  # fmt: skip
CLOSED = ("spot", "shade")


def caption(modality: str, finding: Finding | None, language: str, form: int = 0) -> str:
    """A sentence about a picture."""
    words = WORDS[language]
    named = {"shade": words[finding.shade], "place": words[finding.place]} if finding else {}
    return CAPTIONS[language][form][finding is None].format(modality=words[modality], **named)


def questions(modality: str, finding: Finding | None, language: str) -> list[tuple[str, Sequence[str], str]]:
    """Kinds of questions, their wordings and the answer; without a spot not where it lies and of which shade it is."""
    words = WORDS[language]
    answers = {"modality": words[modality], "spot": words["yes" if finding else "no"]}
    if finding:
        answers |= {"place": words[finding.place], "shade": words[finding.shade]}
    answers["describe"] = caption(modality, finding, language)
    return [(kind, QUESTIONS[kind][language], answer) for kind, answer in answers.items()]
