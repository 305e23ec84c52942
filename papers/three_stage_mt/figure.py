"""The figure of the page, drawn from the record alone: what each stage brings, and what stage 2 lives on."""

from __future__ import annotations

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from core.experiment.figures import arm_bars
from core.experiment.report import trivial_lines
from core.experiment.results import Record

STAGES = (
    ("no_interlinear", "1 + 3: without interlinear text", "orange"),
    ("no_monolingual", "2 + 3: without monolingual text", "orange"),
    ("all_as_instructions", "1 + 3: all bitext as instructions", "vermilion"),
    ("full", "1 + 2 + 3 (the paper's)", "blue"),
)
INSIDE = (
    ("shuffled", "translations of other lines (null)", "grey"),
    ("english_instruction", "instruction in English", "orange"),
    ("target_instruction", "instruction in the target's language", "orange"),
    ("full", "their own, in the source's (the paper's)", "blue"),
)


def draw(record: Record) -> Figure:
    """Left: the stages. Right: all three of them, with other lines in stage 2 and other instructions."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.6))
    for axis, arms, title in zip(
        axes, (STAGES, INSIDE), ("Which stages", "Which lines, which instruction"), strict=True
    ):
        arm_bars(axis, record, "accuracy", arms)
        trivial_lines(axis, record, "full", vertical=True)
        axis.set_xlabel("translated right, both directions (95 % interval)")
        axis.set_title(title, pad=12)  # above the names of the lines
    return figure
