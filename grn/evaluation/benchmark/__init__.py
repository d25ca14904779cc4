"""The bench: methods x sets x references x seeds, one process and one small file per cell of the table."""

from grn.evaluation.benchmark.plan import Cell, Method, plan
from grn.evaluation.benchmark.report import write_results
from grn.evaluation.benchmark.runner import Failure, run
from grn.evaluation.benchmark.sets import Problem, SetSpec, load_problem
from grn.evaluation.benchmark.table import Results, collect

__all__ = [
    "Cell",
    "Failure",
    "Method",
    "Problem",
    "Results",
    "SetSpec",
    "collect",
    "load_problem",
    "plan",
    "run",
    "write_results",
]
