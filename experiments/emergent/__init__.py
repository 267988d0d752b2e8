"""What a model learns beside what it is taught: a narrow fault by adapters and vectors, and its spill-over.

`run` is the command; `narrow` is the data, `finetune` trains, `interventions` makes the arms.
"""
