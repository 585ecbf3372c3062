"""A query as the parse call shows it."""

from __future__ import annotations

from typing import Any

from sandbox.jira.jql import Clause, Node, Operand, Query


def structure(query: Query) -> dict[str, Any]:
    """The restriction and the order of a query."""
    shown: dict[str, Any] = {}
    if query.where is not None:
        shown["where"] = _node(query.where)
    if query.order:
        ways = {True: "desc", False: "asc"}
        shown["orderBy"] = {"fields": [{"field": _field(name), "direction": ways[down]} for name, down in query.order]}
    return shown


def _node(node: Node) -> dict[str, Any]:
    if isinstance(node, Clause):
        return {"field": _field(node.field), "operator": node.operator, "operand": _operands(node)}
    return {"operator": node.operator, "clauses": [_node(part) for part in node.parts]}


def _field(name: str) -> dict[str, str]:
    return {"name": name, "encodedName": name if name.isidentifier() else f'"{name}"'}


def _operands(clause: Clause) -> dict[str, Any]:
    shown = [_operand(one) for one in clause.operands]
    if not clause.listed or clause.operands[0].function is not None:
        return shown[0]
    words = ", ".join(one.get("encodedValue", "") for one in shown)
    return {"values": shown, "encodedOperand": f"({words})"}


def _operand(operand: Operand) -> dict[str, Any]:
    if operand.empty:
        return {"keyword": "empty", "encodedOperand": "empty"}
    if operand.function is not None:
        encoded = f"{operand.text}({', '.join(operand.function)})"
        return {"function": operand.text, "arguments": list(operand.function), "encodedOperand": encoded}
    encoded = operand.text if operand.text.isalnum() else '"' + operand.text.replace('"', '\\"') + '"'
    return {"value": operand.text, "encodedValue": encoded}
