"""The report of a run: one HTML file with its figures, tables, settings and provenance, that loads nothing else.

The page is a Jinja template, which escapes every name; `tables.js` makes its tables searchable.
"""

from grn.plotting.report.report import report, write_report

__all__ = ["report", "write_report"]
