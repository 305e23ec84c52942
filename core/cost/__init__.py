"""What the real thing costs, before anyone buys a GPU.

The door is :func:`core.cost.plan.plan` over a :class:`core.cost.workload.Workload`; `accounting` counts.
"""
