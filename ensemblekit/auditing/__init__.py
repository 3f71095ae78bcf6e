"""Audits of held-out predictions: are they held out, and what leaks into them?

- `audit`: checks a fitted cross-fit or stack; `AuditReport` is its table.
"""

from .report import AuditReport, audit

__all__ = ["AuditReport", "audit"]
