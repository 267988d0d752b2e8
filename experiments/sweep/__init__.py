"""A vector at many cells, one of them chosen fairly: the grid, what may be chosen, controls in its place.

`run` is the command; `choice` and `out_of_fold` know outcomes and no models; `race` and `screening` save
rows. None knows suffixes, but as arms that run beside.
"""
