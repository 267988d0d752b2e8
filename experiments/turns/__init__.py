"""Conversations of several turns under an arm that is held, faded, or said once.

`run` is the command; `talks` continues them, `drift` measures each turn. A judge sees one turn's answer.
"""
