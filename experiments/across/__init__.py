"""Runs that are done, side by side: two of them row by row, or one of each model.

They read folders and run no model.
"""
