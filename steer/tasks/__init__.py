"""The shipped tasks, a folder of data each."""

DEFAULT = "instrumental"
"""What is measured where no task is named."""
