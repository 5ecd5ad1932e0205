"""Gives the branches of a tree lines, so that nothing covers anything. Knows nothing of drawing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_Spans = dict[int, list[tuple[float, float]]]  # of each line, what is taken of it


@dataclass(frozen=True)
class Node:
    """A part of the tree that stands in one line."""

    start: float
    """Where the way to it begins: the fork of its parent."""
    end: float
    """Where it ends, its own fork included."""
    fork: float
    """Where its children part; children in other lines hang on a vertical way from here down."""
    children: Sequence[int]
    """Numbers of nodes, each above its parent's; the first one stays in the line."""


def lay_out(nodes: Sequence[Node], room: float = 8.0) -> list[int]:
    """The line of each node, 0 being the first node's; each as near to its parent as it can be.

    Every way of a node starts right of all that is left of its fork, so that no way crosses
    another one.

    Args:
        nodes: The first one is the root.
        room: Left free between two nodes in one line.
    """
    taken: list[_Spans] = [{} for _ in nodes]  # lines count from the node's own
    below = [0] * len(nodes)  # lines from the parent's to the node's
    for number in range(len(nodes) - 1, -1, -1):
        node, spans = nodes[number], {0: [(nodes[number].start, nodes[number].end)]}
        for index, child in enumerate(node.children):
            if index == 0:
                own = taken[child]
                own.setdefault(0, []).extend(spans[0])
                spans = own
                continue
            while _collide(spans, taken[child], below[child], room) or not below[child]:
                below[child] += 1
            for line, parts in taken[child].items():
                spans.setdefault(line + below[child], []).extend(parts)
        deepest = max((below[child] for child in node.children), default=0)
        for line in range(1, deepest):
            spans.setdefault(line, []).append((node.fork, node.fork))
        taken[number] = spans
    lines = [0] * len(nodes)
    for number, node in enumerate(nodes):
        for child in node.children:
            lines[child] = lines[number] + below[child]
    return lines


def _collide(spans: _Spans, others: _Spans, shift: int, room: float) -> bool:
    """Whether something of the others, moved down by some lines, would cover something."""
    return any(
        _overlap(parts, spans[line + shift], room)
        for line, parts in others.items()
        if line + shift in spans
    )


def _overlap(
    parts: Iterable[tuple[float, float]], others: Sequence[tuple[float, float]], room: float
) -> bool:
    return any(
        start < other_end + room and other_start < end + room
        for start, end in parts
        for other_start, other_end in others
    )
