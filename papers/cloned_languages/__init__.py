"""Cloned languages."""
