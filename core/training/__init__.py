"""The one training loop and what it is made of.

The door is :func:`core.training.fit.fit` with a :class:`core.training.config.TrainingConfig`.
"""
