"""Logs of Inspect compared in pairs: any task, any model, steered here or not.

`read` turns logs into rows, `pairs` compares them, `show` prints. None knows arms or engines.
"""
