"""Walks a decoded device and applies the tables of explanations to it."""

from __future__ import annotations

from collections.abc import Callable

from qevm.explain import generic, registry
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Struct
from qevm.field import Field, LazyFields, Role

# Parts of a section that are not vmstate.
_FRAME = frozenset({"header", "footer"})
_COMPOUND = frozenset({"struct", "vstruct", "tmp", "subsection", "qtailq", "qlist", "gtree"})


def explain(root: Field, context: ExplainContext) -> None:
    """Explain a decoded device in place: ``root.children`` are the fields of its body.

    Header and footer of the section may be among them.  Lazy runs stay lazy: their fields are
    explained when they are made.  Works on any bytes: a field that does not look as its
    explanation expects keeps its plain form.  Call it once for a tree.
    """
    _explain_struct(root, context.device, context.version, context)
    if not root.meaning:
        root.meaning = _inner_meaning(root)


def _inner_meaning(root: Field) -> str:
    """What the device's PCI part or its virtio blob says, for a device that has no summary of its own."""
    for child in root.children:
        if child.meaning and (child.type == "virtio" or child.vmsd in ("PCIDevice", "ahci")):
            return child.meaning
    return ""


def _explain_struct(item: Field, vmsd: str, version: int | None, context: ExplainContext) -> None:
    table = registry.find(vmsd, version, item.children)
    fields = item.children
    if isinstance(fields, LazyFields):
        item.children = fields.mapped(_element(context))
    else:
        for child in fields:
            _explain_field(child, table, context)
    if table is not None and table.after is not None:
        table.after(item, context)


def _explain_field(item: Field, table: Struct | None, context: ExplainContext) -> None:
    if item.type in _FRAME or item.role is Role.PADDING:
        return
    name = item.name
    _descend(item, context)
    by_type = generic.TYPES.get(item.type)
    if by_type is not None:
        by_type(item, context)
    rule = table.fields.get(name) if table is not None else None
    if rule is None:
        rule = generic.by_name(item)
    if rule is not None:
        rule(item, context)


def _descend(item: Field, context: ExplainContext) -> None:
    children = item.children
    if not children:
        return
    if item.type in _COMPOUND:
        _explain_struct(item, item.vmsd, item.version, context)
    elif item.type.endswith("]") and _needs_visit(item.type):
        if isinstance(children, LazyFields):
            item.children = children.mapped(_element(context))
        else:
            for child in children:
                _explain_field(child, None, context)


def _needs_visit(array_type: str) -> bool:
    """True when the elements of an array may have explanations of their own."""
    kind = array_type.rpartition("[")[0]
    return kind in _COMPOUND or kind in generic.TYPES


def _element(context: ExplainContext) -> Callable[[int, Field], Field]:
    def change(_: int, item: Field) -> Field:
        _explain_field(item, None, context)
        return item

    return change
