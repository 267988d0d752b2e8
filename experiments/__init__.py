"""One file a question: each plans arms, hands them to the pipeline and says what came out.

Knows nothing of the command line.
"""
