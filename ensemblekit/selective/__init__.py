"""Selective prediction: knowing when not to answer.

Two reasons to abstain: another training of the pipeline could change the answer, and
the answer is probably wrong. Consistency is not correctness; the two can be chained.
"""

__all__: list[str] = []
