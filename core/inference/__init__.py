"""Text from a model, and scores of given text: batched, sorted by length, shared prefixes computed once.

The doors are :func:`core.inference.generation.generate` and :func:`core.inference.scoring.score_choices`.
"""
