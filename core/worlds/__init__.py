"""Miniature worlds that several papers use: items, equivalence classes, splits and trivial solvers."""
