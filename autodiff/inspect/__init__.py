"""Looking at programs: the evaluation trace, its table, its graph, its cost."""

from __future__ import annotations

from autodiff.inspect.evaluation_trace import EvaluationTrace, trace

__all__ = ["EvaluationTrace", "trace"]
