"""What Inspect (the UK AI Security Institute's framework for evaluations) finds of this project.

`registry` is the entry point: the provider `steergap/MODEL`, whose `-M` arguments are an arm. It knows
experiments, vectors and engines; nothing of them knows it.
"""
