"""Second judges of answers that are there: commands `judge`, `annotate` and `agreement`.

They generate nothing.
"""
