"""One path or two: whether suffix and vector move the model through the same place.

`run` is the command; `taken_out` makes the arms, `mediation` says what is left, from outcomes alone.
"""
