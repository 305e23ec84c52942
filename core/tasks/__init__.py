"""What several papers measure, each task with its data, its metric and its trivial solvers."""
