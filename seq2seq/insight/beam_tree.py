"""How beam search found a translation: all hypotheses as a tree, with those that were pruned.

Sutskever, Vinyals and Le (2014), section 3.2, https://arxiv.org/abs/1409.3215, describe the search.
"""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from seq2seq.config import BOS_ID, EOS_ID, ConfigurationError, SearchConfig
from seq2seq.decoding.length_penalty import Ranking
from seq2seq.decoding.trace import Trace
from seq2seq.insight.figure import (
    MARGIN,
    document,
    explain_pieces,
    text,
    text_width,
    title_height,
    title_lines,
    wrap,
    wrap_title,
)
from seq2seq.insight.tree_layout import Node, lay_out

if TYPE_CHECKING:
    from seq2seq.translator import Translator

LARGEST_BEAM = 20  # of which a picture can be read
Fate = Literal["lives", "finished", "truncated", "pruned", "open"]


@dataclass(frozen=True)
class Branch:
    """A hypothesis that the search looked at: its last piece, and what became of it."""

    id: int
    piece: str
    parent: int | None
    """Number of the branch without that piece; None for first pieces."""
    step: int
    """Pieces of the hypothesis."""
    log_probability: float
    """Natural-log sum over its pieces."""
    fate: Fate
    """lives: its continuations were looked at in the next step; finished: it ended and was set
    aside; truncated: it reached the maximum length; pruned: too many others were better; open: one
    of the best when the search was done."""
    score: float | None = None
    """See `Ranking.score`; None unless it was set aside."""


@dataclass(frozen=True)
class BeamTree:
    """The beam search of one sentence."""

    source: str
    text: str
    """Of the best hypothesis."""
    branches: Sequence[Branch]
    """In the order of steps, parents before children."""
    best: int
    """Number of the branch that the best hypothesis ends with."""
    search: SearchConfig
    language: str
    """Of the target."""

    def path(self, number: int) -> list[int]:
        """The branches from the first piece to this one."""
        return _path(self.branches, number)

    def step_log_probability(self, number: int) -> float:
        """What the last piece of a branch has added to its log-probability."""
        branch = self.branches[number]
        before = 0.0 if branch.parent is None else self.branches[branch.parent].log_probability
        return branch.log_probability - before


def find_beam_tree(translator: "Translator", sentence: str, **overrides: Any) -> BeamTree:
    """Searches a sentence and keeps everything that the search looked at.

    Args:
        overrides: Fields of `SearchConfig` in place of the recipe's, such as `beam_size=5`.

    Raises:
        ConfigurationError: If the sentence is blank or searched in parts, or the beam is larger
            than a picture can show.
    """
    search = translator.search_settings(**overrides)
    if search.beam_size > LARGEST_BEAM:
        raise ConfigurationError(
            f"`search.beam_size` must be at most {LARGEST_BEAM} for a picture that can be read, "
            f"but is {search.beam_size}."
        )
    best, trace = translator.trace(sentence, **overrides)
    tokenizer = translator.tokenizers.target
    branches = grow_branches(trace, search, lambda id_: tokenizer.pieces([id_])[0])
    (number, *_) = (
        number
        for number, branch in enumerate(branches)
        if branch.score is not None
        and [branches[one].id for one in _path(branches, number)] == best.ids
    )
    text = tokenizer.decode(best.ids)
    return BeamTree(sentence, text, branches, number, search, translator.recipe.target_language)


def grow_branches(
    trace: Trace, search: SearchConfig, piece_of: Callable[[int], str]
) -> list[Branch]:
    """The branches of a search, in the order in which it looked at them.

    Args:
        search: What it searched with.
        piece_of: Gives the piece of an id.
    """
    ranking = Ranking.of(search)
    branches: list[Branch] = []
    rows: list[int] = []  # the branch of each row before the step; none before the first one
    for position, (offered, kept) in enumerate(zip(trace.offered, trace.kept, strict=True)):
        leaves = {
            (leaf.row, leaf.last_id): leaf for leaf in trace.leaves if leaf.position == position
        }
        survivors = {(row, id_) for total, id_, row in kept if total > -math.inf}
        numbers: dict[tuple[int, int], int] = {}
        # Each group of the beam is a search by itself, which may be done before the others.
        width = max(len(rows) // search.diversity_groups, 1)
        going_on = {row // width for row, _ in survivors}
        is_last = position + 1 == trace.max_length
        num_open: Counter[int] = Counter()
        for log_probability, id_, row in offered:
            if log_probability == -math.inf:
                continue
            leaf = leaves.get((row, id_))
            fate: Fate = "pruned"
            score = None
            if leaf is not None:
                fate = "truncated" if leaf.truncated else "finished"
                score = ranking.score(leaf.log_probability, leaf.length, leaf.coverage)
            elif (row, id_) in survivors:
                fate = "lives"
            elif not is_last and id_ != EOS_ID and row // width not in going_on:
                num_open[row // width] += 1
                if num_open[row // width] <= search.beam_size // search.diversity_groups:
                    fate = "open"
            numbers[row, id_] = len(branches)
            parent = rows[row] if position else None
            branches.append(
                Branch(id_, piece_of(id_), parent, position + 1, log_probability, fate, score)
            )
        for (row, last_id), leaf in leaves.items():
            if last_id is None and position:  # nothing was allowed to follow
                score = ranking.score(leaf.log_probability, leaf.length, leaf.coverage)
                cut = dataclasses.replace(branches[rows[row]], fate="truncated", score=score)
                branches[rows[row]] = cut
        # Rows that only fill up have the number of some other one, and nothing grows from them.
        rows = [numbers.get((row, id_), -1) for _, id_, row in kept]
    return branches


def _path(branches: Sequence[Branch], number: int) -> list[int]:
    found: list[int] = []
    at: int | None = number
    while at is not None:
        found.append(at)
        at = branches[at].parent
    return found[::-1]


_LINE = 42  # pixels between branches; numbers stand below pieces
_SIZE, _SMALL = 13, 12  # pixels of the letters of pieces; of pruned ones and of numbers
_GAP = 24  # pixels between the longest piece of a step and the next step
_MARK = 18  # pixels for what ends a branch
_NARROWEST, _WIDEST_TEXT = 480, 900  # pixels; the tree itself is as wide as its steps ask for
_SMALLEST = 0.8  # of its size, when a page shrinks the figure
_STYLE = """\
  .beam_tree path, .beam_tree circle { fill: none; stroke-width: 1.4; }
  .beam_tree path.pruned { stroke-dasharray: 2 3; } .beam_tree path.best { stroke-width: 3.5; }
  .beam_tree text.best { font-weight: 700; }"""
_FATES: dict[Fate, str] = {
    "lives": "went on",
    "finished": "finished, with its score",
    "truncated": "cut off at the maximum length, with its score",
    "pruned": "pruned",
    "open": "still open when the search was done",
}


def draw_beam_tree(tree: BeamTree, *, most_pruned: int = 2) -> str:
    """Draws a line for each branch, steps from left to right; what branches share stands once.

    Args:
        most_pruned: Pruned branches shown at each step, the best ones.

    Returns:
        A self-contained SVG document; it follows the reader's light or dark mode and shows the
        probability of each piece on hover.
    """
    shown = _choose(tree, most_pruned)
    grid = _Grid(tree, shown)
    width = max(grid.width, _NARROWEST)
    title = f"How beam search found it: {tree.source} → {tree.text}"
    column = min(width, _WIDEST_TEXT) - 2 * MARGIN
    lines = wrap_title(title, width)
    top = title_height(lines) + 56
    notes, height = _notes(tree, most_pruned, shown, column)
    body = [
        *title_lines(lines),
        text(grid.starts[1], top - 40, "step: one more piece", "axis"),
        *(text(x, top - 20, str(step), "tick") for step, x in enumerate(grid.starts) if step),
        f'<g transform="translate(0 {top:g})"><g lang="{escape(tree.language)}">',
        *grid.draw_ways(),
        *grid.draw_branches(),
        f'</g></g><g transform="translate(0 {top + grid.height:g})">',
        *notes,
        "</g>",
    ]
    height += top + grid.height
    return document(
        body,
        title=title,
        width=width,
        height=height,
        kind="beam_tree",
        style=_STYLE,
        smallest=_SMALLEST,
    )


def _choose(tree: BeamTree, most_pruned: int) -> list[int]:
    """The branches that are shown: of those pruned at each step only the best."""
    shown, room = [], [most_pruned] * (tree.branches[-1].step + 1)
    for number in sorted(
        range(len(tree.branches)), key=lambda one: -tree.branches[one].log_probability
    ):
        branch = tree.branches[number]
        if branch.fate == "pruned":
            room[branch.step] -= 1
        if branch.fate != "pruned" or room[branch.step] >= 0:
            shown.append(number)
    return sorted(shown)


class _Grid:
    """Where everything stands: steps in columns, branches in lines.

    Node 0 is the begin symbol, the others are the branches that are shown.
    """

    def __init__(self, tree: BeamTree, shown: Sequence[int]) -> None:
        self.tree = tree
        begin = Branch(BOS_ID, "<s>", None, 0, 0.0, "lives")
        self.numbers = [-1, *shown]
        self.branches = [begin, *(tree.branches[number] for number in shown)]
        path = set(tree.path(tree.best))
        self.on_path = [True, *(number in path for number in shown)]
        self.children = self._find_children()
        widths: list[list[float]] = [[] for _ in range(self.branches[-1].step + 1)]
        for node, branch in enumerate(self.branches):
            widths[branch.step].append(self._measure(node))
        columns = [max(own) + _GAP for own in widths]
        self.starts = list(itertools.accumulate(columns[:-1], initial=float(MARGIN)))
        nodes = list(map(self._make_node, range(len(self.branches))))
        self.lines = lay_out(nodes)
        self.width = max(node.end for node in nodes) + MARGIN
        self.height = max(self.lines) * _LINE + 34

    def _find_children(self) -> list[list[int]]:
        """Of each node: the one that leads on furthest, then the others, the shortest first."""
        nodes = {number: node for node, number in enumerate(self.numbers)}
        children: list[list[int]] = [[] for _ in self.numbers]
        deepest = [branch.step for branch in self.branches]
        for node in range(len(self.numbers) - 1, 0, -1):
            parent = self.branches[node].parent
            owner = 0 if parent is None else nodes[parent]
            deepest[owner] = max(deepest[owner], deepest[node])
            children[owner].append(node)

        def promise(node: int) -> tuple[bool, int, float]:
            return self.on_path[node], deepest[node], self.branches[node].log_probability

        for own in children:
            own.sort(key=promise)
            if own:
                own.insert(0, own.pop())
        return children

    def _measure(self, node: int) -> float:
        """Pixels of what stands in a node's column: its piece, and its number below."""
        branch = self.branches[node]
        piece = self._piece_width(node) + (0 if self.children[node] else _MARK)
        return max(piece, text_width(_say(branch.log_probability), _SMALL))

    def _piece_width(self, node: int) -> float:
        size = _SMALL if self.branches[node].fate == "pruned" else _SIZE
        return text_width(self.branches[node].piece, size) + (3 if self.on_path[node] else 0)

    def _fork(self, step: int) -> float:
        """Where the ways to a step's pieces part."""
        return self.starts[step] - _GAP / 2

    def _make_node(self, node: int) -> Node:
        branch, children = self.branches[node], self.children[node]
        start = self._fork(branch.step)
        if children:
            fork = self._fork(branch.step + 1)
            return Node(start, fork, fork, children)
        end = self.starts[branch.step] + self._measure(node)
        end += text_width(_say_score(branch), _SMALL)
        return Node(start, end, end, children)

    def draw_ways(self) -> Iterator[str]:
        """From each branch to those that continue it, those of the best hypothesis last."""
        ways = [(node, child) for node, own in enumerate(self.children) for child in own]
        for node, child in sorted(ways, key=lambda way: self.on_path[way[1]]):
            branch = self.branches[child]
            y, below = (self.lines[one] * _LINE - 4.5 for one in (node, child))
            end, fork = self.starts[branch.step] - 4, self._fork(branch.step)
            begin = self.starts[branch.step - 1] + self._piece_width(node) + 4
            way = f"M{begin:g} {y:g}H{end:g}"
            if y != below:
                way = f"M{fork:g} {y:g}V{below - 6:g}q0 6 6 6H{end:g}"
            kind = "stroke0 best" if self.on_path[child] else f"stroke5 {branch.fate}"
            yield f'<path d="{way}" class="{kind}"/>'

    def draw_branches(self) -> Iterator[str]:
        """Pieces, and what became of those that nothing continues."""
        for node, branch in enumerate(self.branches):
            x, y = self.starts[branch.step], self.lines[node] * _LINE
            best = " best" if self.on_path[node] else ""
            kind = "tick" if branch.fate == "pruned" else f"label{best}"
            yield f"<g><title>{escape(self._tell(node))}</title>{text(x, y, branch.piece, kind)}"
            yield text(x, y + 15, _say(branch.log_probability), "tick")
            if not self.children[node]:
                end = x + self._piece_width(node) + 9
                yield _mark(branch.fate, end, y - 4.5, is_best=bool(best))
                yield text(end + 9, y, _say_score(branch), f"tick{best}")
            yield "</g>"

    def _tell(self, node: int) -> str:
        branch = self.branches[node]
        if not node:
            return "where every hypothesis begins"
        own = self.tree.step_log_probability(self.numbers[node])
        score = "" if branch.score is None else f", score {branch.score:.3f}"
        return (
            f"{branch.piece}: log-probability {own:.3f} given what stands before it, "
            f"{branch.log_probability:.3f} up to here{score}; {_FATES[branch.fate]}"
        )


def _say(number: float) -> str:
    return f"{number:.2f}".replace("-", "−")


def _say_score(branch: Branch) -> str:
    return "" if branch.score is None else f"score {_say(branch.score)}"


def _mark(fate: Fate, x: float, y: float, *, is_best: bool = False) -> str:
    """What ends a branch; a living one that ends has lost all of its continuations."""
    if fate == "finished":
        return f'<circle cx="{x:g}" cy="{y:g}" r="4.5" class="fill{0 if is_best else 5}"/>'
    if fate == "truncated":
        return f'<rect x="{x - 4:g}" y="{y - 4:g}" width="8" height="8" class="fill5"/>'
    if fate == "open":
        return f'<circle cx="{x:g}" cy="{y:g}" r="4" class="stroke5"/>'
    return f'<path d="M{x - 4:g} {y - 4:g}l8 8m0 -8l-8 8" class="stroke5"/>'


def _notes(
    tree: BeamTree, most_pruned: int, shown: Sequence[int], width: float
) -> tuple[list[str], float]:
    """The legend and what has to be known besides, and their height."""
    found = [f'<path d="M{MARGIN} 22h18" class="stroke0 best"/>']
    found.append(text(MARGIN + 26, 26, "the best hypothesis", "tick"))
    x, y = 60 + text_width("the best hypothesis", _SMALL), 26.0
    for fate in sorted({branch.fate for branch in tree.branches} - {"lives"}):
        entry = 44 + text_width(_FATES[fate], _SMALL)
        if x + entry > MARGIN + width:
            x, y = float(MARGIN), y + 22
        found += [_mark(fate, x + 9, y - 4), text(x + 26, y, _FATES[fate], "tick")]
        x += entry
    has_pruned = any(branch.fate == "pruned" for branch in tree.branches)
    said = f"{_say_beam(tree.search)}{'; grey ones never did' if has_pruned else ''}. "
    said += (
        f"Below each piece stands the natural-log probability of all pieces up to there; "
        f"{_say_ranking(tree.search)}."
    )
    if has_pruned:
        grey = "1 grey one a step is" if most_pruned == 1 else f"{most_pruned} grey ones a step are"
        num_hidden = len(tree.branches) - len(shown)
        hidden = f"{num_hidden} more {'is' if num_hidden == 1 else 'are'} hidden"
        said += f" At most {grey} shown; {hidden}."
    said += f" {explain_pieces(['<s>', *(tree.branches[number].piece for number in shown)])}"
    for line in wrap(said, width, _SMALL):
        y += 20
        found.append(text(MARGIN, y, line, "tick"))
    return found, y + 18


def _say_beam(search: SearchConfig) -> str:
    groups = search.diversity_groups
    size = search.beam_size // groups
    kept = (
        "best continuation that does not end lives on"
        if size == 1
        else f"{size} best continuations that do not end live on"
    )
    if groups == 1:
        return f"Beam of {size}: at each step the {kept}"
    return f"Beam of {search.beam_size} in {groups} groups: at each step the {kept} in each group"


def _say_ranking(search: SearchConfig) -> str:
    penalty = "(5 + pieces) / 6" if search.length_penalty_kind == "gnmt" else "their number"
    power = "" if search.length_penalty == 1 else f" to the power of {search.length_penalty:g}"
    divided = f" divided by {penalty}{power}" if search.length_penalty else ""
    more = " with rewards and penalties" if search.word_reward or search.coverage_penalty else ""
    return f"a score is that of all pieces{divided}{more}"
