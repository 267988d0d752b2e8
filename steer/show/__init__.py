"""What a reader sees of a finished run: one self-contained page, files of figures, tables as Markdown.

It reads a run's `summary.json` and store and writes files; it computes no rate and no interval.
"""
