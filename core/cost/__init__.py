"""What the real thing costs, before anyone buys a GPU.

The door is :func:`core.cost.plan.plan` over a :class:`core.cost.workload.Workload`; `accounting` counts. Whether a step
fits is seen by running it on fake tensors: :func:`core.cost.simulate.simulate` over a
:class:`core.cost.steps.Simulation`.
"""
