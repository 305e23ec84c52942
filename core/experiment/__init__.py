"""A paper as an experiment: its card, its runs, what came out and how that is judged.

The doors are :class:`core.experiment.paper.Paper`, :func:`core.experiment.entrypoint.entrypoint` and
:func:`core.experiment.reproduce.reproduce`. This package imports nothing heavy.
"""
