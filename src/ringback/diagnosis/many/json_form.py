"""Many calls as JSON: what stands out, heat maps, and what became of it since a baseline."""

from __future__ import annotations

from typing import Any

from ringback.diagnosis.many.baseline import Change
from ringback.diagnosis.many.heat import HeatMap
from ringback.diagnosis.many.patterns import Outlier
from ringback.diagnosis.many.summary import ManyCalls, Since
from ringback.diagnosis.shown import finite

Json = dict[str, Any]


def many_as_json(many: ManyCalls) -> Json:
    """What stands under `many`."""
    share = many.patterns.all_calls
    return {
        "source": many.source,
        "began": many.began or None,
        "ended": many.ended or None,
        "calls": share.calls,
        "bad": share.bad,
        "interval": [finite(end) for end in share.interval],
        "summary": many.headline(),
        "compared": many.patterns.compared,
        "stand_out": [_outlier(one) for one in many.patterns.stand_out],
        "doubtful": [_outlier(one) for one in many.doubtful],
        "heat_maps": [_heat(heat) for heat in many.heat_maps],
        "baseline": None if many.since is None else _since(many.since),
    }


def _outlier(one: Outlier) -> Json:
    return {
        "dimension": one.dimension,
        "group": one.group,
        "measure": one.measure,
        "calls": one.calls,
        "value": finite(one.value),
        "rest": finite(one.rest),
        "interval": None if one.interval is None else [finite(end) for end in one.interval],
        "p": finite(one.p_value, 12),
        "significant": one.significant,
        "explained_by": None
        if one.explained_by is None
        else {"dimension": one.explained_by[0], "group": one.explained_by[1]},
        "text": one.words(),
    }


def _heat(heat: HeatMap) -> Json:
    return {
        "rows": {"by": heat.row_title, "names": list(heat.rows)},
        "columns": {"by": heat.column_title, "names": list(heat.columns)},
        "bad": [[cell.bad for cell in row] for row in heat.cells],
        "calls": [[cell.calls for cell in row] for row in heat.cells],
    }


def _since(since: Since) -> Json:
    return {
        "name": since.name,
        "began": since.began,
        "ended": since.ended,
        "calls": since.calls,
        "answer": since.answer,
        "summary": since.words(),
        "changes": [_change(change) for change in since.changes],
    }


def _change(change: Change) -> Json:
    return {
        "measure": change.measure,
        "dimension": change.dimension or None,
        "group": change.group or None,
        "before": finite(change.before),
        "after": finite(change.after),
        "calls_before": change.calls_before,
        "calls_after": change.calls_after,
        "p": finite(change.p_value, 12),
        "answer": change.answer,
        "calls_needed": change.needed,
        "text": change.words(),
    }
