"""Steering vectors: contrasts, capture, directions, controls, files, geometry.

Makes `Addition`s for `steer`; knows nothing of experiments.
"""
