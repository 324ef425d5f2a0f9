"""From decoded fields to what they mean: the explanations of the detail pane (device-facts).

:func:`explain` is the one entry; everything else here is tables, one module a family.
:mod:`qevm.explain.render` writes the value of any field as text.
"""

from __future__ import annotations

from qevm.explain.context import ExplainContext, target_of, virtual_clock
from qevm.explain.engine import explain

__all__ = ["ExplainContext", "explain", "target_of", "virtual_clock"]
