import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.insight.tree_layout import Node, lay_out

WIDTH, GAP, ROOM = 50.0, 20.0, 8.0


@st.composite
def trees(draw) -> list[Node]:
    """Trees in columns, as that of a beam: children stand one column to the right."""
    parents = [draw(st.integers(0, number)) for number in range(draw(st.integers(0, 25)))]
    columns = [0]
    for parent in parents:
        columns.append(columns[parent] + 1)
    # Numbers of nodes go up with columns.
    order = sorted(range(len(columns)), key=lambda node: columns[node])
    place = {node: number for number, node in enumerate(order)}
    children: list[list[int]] = [[] for _ in columns]
    for node, parent in enumerate(parents, 1):
        children[place[parent]].append(place[node])
    nodes = []
    for number, node in enumerate(order):
        start = columns[node] * (WIDTH + GAP)
        fork = start + WIDTH + GAP
        longer = draw(st.sampled_from([0.0, 13.0, 90.0]))  # what stands behind the last piece
        end = fork if children[number] else start + GAP / 2 + WIDTH + longer
        nodes.append(Node(start, end, fork, draw(st.permutations(children[number]))))
    return nodes


def overlap(first: tuple[float, float], second: tuple[float, float]) -> bool:
    return first[0] < second[1] and second[0] < first[1]


@given(nodes=trees())
def test_no_node_covers_another_and_no_way_crosses_one(nodes):
    lines = lay_out(nodes, room=ROOM)
    for (line, node), (other_line, other) in itertools.combinations(
        zip(lines, nodes, strict=True), 2
    ):
        if line == other_line:
            assert not overlap((node.start, node.end), (other.start, other.end))
    for number, node in enumerate(nodes):
        reach = max((lines[child] for child in node.children), default=lines[number])
        for other, line in zip(nodes, lines, strict=True):
            if lines[number] < line < reach:
                assert not other.start < node.fork < other.end


@given(nodes=trees())
def test_the_first_child_stays_in_line_and_the_others_hang_below(nodes):
    lines = lay_out(nodes)
    assert lines[0] == 0
    for number, node in enumerate(nodes):
        first, *others = [lines[child] for child in node.children] or [lines[number]]
        assert first == lines[number]
        assert all(line > lines[number] for line in others)
        assert len({first, *others}) == 1 + len(others)


def test_what_is_short_shares_a_line():
    """Two stubs that hang on neighbouring steps stand in the line below, side by side."""
    ends = [70.0, 140.0, 60.0, 190.0, 130.0]
    starts = [0.0, 70.0, 0.0, 140.0, 70.0]
    children = [[1, 2], [3, 4], [], [], []]
    nodes = [
        Node(start, end, start + 70, own)
        for start, end, own in zip(starts, ends, children, strict=True)
    ]
    nodes[2] = Node(70.0, 115.0, 140.0, [])
    nodes[4] = Node(140.0, 185.0, 210.0, [])
    assert lay_out(nodes) == [0, 0, 1, 0, 1]
    nodes[2] = Node(70.0, 150.0, 140.0, [])
    assert lay_out(nodes) == [0, 0, 2, 0, 1]


@pytest.mark.parametrize("depth", [1, 3000])
def test_a_tree_may_be_deep(depth):
    nodes = [Node(n * 10.0, n * 10.0 + 10, n * 10.0 + 10, [n + 1]) for n in range(depth)]
    assert lay_out([*nodes, Node(depth * 10.0, depth * 10.0 + 5, 0.0, [])]) == [0] * (depth + 1)
