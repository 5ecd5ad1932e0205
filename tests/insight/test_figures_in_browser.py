"""Opens figures in a headless browser: can each be read, by light and by dark?"""

import dataclasses
from pathlib import Path

import pytest
from browser import INK, browse
from tiny_translator import SOURCES

from seq2seq.insight.alignment import Alignment, draw_alignment
from seq2seq.insight.beam_tree import draw_beam_tree, find_beam_tree
from seq2seq.insight.figure import document, text
from seq2seq.insight.gates import draw_gates, find_gates
from seq2seq.insight.recording import record_translation
from seq2seq.insight.summary import draw_summary, find_summary
from seq2seq.insight.units import draw_activations, find_activations
from seq2seq.translator import Translator

pytestmark = pytest.mark.browser

GUIDE = Path(__file__).parents[2] / "docs" / "images" / "eight"
MADE = ["alignment", "words", "wide", "beam", "narrow beam", "gates", "unit", "summary"]
FIGURES = [*MADE, *(f"guide: {path.name}" for path in sorted(GUIDE.glob("*.svg")))]
PROBE = """
addEventListener("load", () => {
  const found = {};
  document.querySelectorAll("div").forEach((holder) => {
    found[holder.id] = look(holder.querySelector("svg"));
  });
  document.body.insertAdjacentHTML("beforeend", parcelOf(found));
});
function look(svg) {
  const texts = [...svg.querySelectorAll("text")].filter((one) => one.textContent.trim());
  const frame = svg.getBoundingClientRect();
  const boxes = texts.map((one) => one.getBoundingClientRect());
  const outside = texts.filter((one, index) => {
    const box = boxes[index];
    return box.left < frame.left - 0.5 || box.right > frame.right + 0.5 ||
      box.top < frame.top - 0.5 || box.bottom > frame.bottom + 0.5;
  });
  const inks = texts.map((one, index) => inkBox(one, boxes[index]));
  const overlapping = [];
  inks.forEach((one, i) => inks.slice(0, i).forEach((other, j) => {
    const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
    const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
    if (across > 0.5 && down > 0.5) {
      overlapping.push(texts[j].textContent + " / " + texts[i].textContent);
    }
  }));
  const fonts = {};
  texts.forEach((one) => {
    const family = getComputedStyle(one).fontFamily;
    fonts[family] = new Set([...(fonts[family] || []), ...one.textContent]);
  });
  const missing = Object.entries(fonts).flatMap(([family, letters]) => {
    const none = inkOf("\\u0378", family);
    return [...letters].filter((one) => one.trim() && inkOf(one, family) === none);
  });
  const shrunk = parseFloat(svg.style.minWidth) / frame.width;
  return {
    outside: outside.map((one) => one.textContent),
    overlapping: overlapping,
    missing: missing,
    faint: texts.filter((one) => contrast(one) < 4.5).map((one) => one.textContent),
    smallest: Math.min(...texts.map((one) => parseFloat(getComputedStyle(one).fontSize))) * shrunk,
    widest: frame.width,
    texts: texts.length,
    hovers: svg.querySelectorAll("title").length,
    page: getComputedStyle(svg.querySelector(".page")).fill,
  };
}
// Letters fill about two thirds of the height of their line.
function inkBox(one, box) {
  const isTurned = Math.abs(one.getScreenCTM().b) > 0.5;
  const x = isTurned ? 0.18 * box.width : 0, y = isTurned ? 0 : 0.18 * box.height;
  return {left: box.left + x, right: box.right - x, top: box.top + y, bottom: box.bottom - y};
}
function contrast(one) {
  one.scrollIntoView({block: "center", inline: "center"});
  const box = one.getBoundingClientRect();
  const below = document.elementsFromPoint(box.left + box.width / 2, box.top + box.height / 2)
    .filter((each) => ["rect", "path", "circle"].includes(each.tagName)).reverse();
  let ground = [255, 255, 255];
  below.forEach((each) => {
    const style = getComputedStyle(each), isFilled = style.fill !== "none";
    const own = parts(isFilled ? style.fill : style.stroke);
    const opacity = style.opacity * (isFilled ? style.fillOpacity : style.strokeOpacity);
    ground = ground.map((channel, index) => channel + opacity * (own[index] - channel));
  });
  const lights = [luminance(parts(getComputedStyle(one).fill)), luminance(ground)];
  return (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
}
function parts(colour) { return colour.match(/[0-9.]+/g).slice(0, 3).map(Number); }
function luminance(colour) {
  const linear = colour.map((channel) => channel / 255)
    .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}
"""


@pytest.fixture(scope="module")
def figures(tiny_directory) -> dict[str, str]:
    translator = Translator.load(tiny_directory, precision="float32", plain=True)
    translation = translator.translate(SOURCES[5])
    recording = record_translation(translator, SOURCES[5], translation.text)
    korean = ["▁그들은", "▁어제", "▁오후에", "▁강에서", "▁낚시했다", ".", "</s>"]
    english = ["▁They", "▁fished", "▁at", "▁the", "▁river", "▁yesterday", ".", "</s>"]
    weights = [[(column + row) % 7 / 21 for column in range(7)] for row in range(8)]
    alignment = Alignment(korean, english, weights, heading="Its own translation: They fished.")
    words = Alignment(korean, english, weights, "words")
    wide = Alignment([*korean, *korean, *korean], english, [row * 3 for row in weights])
    title = "Where the decoder looked: 그들은 어제 오후에 강에서 낚시했다. → They fished."
    activations = find_activations(recording, "decoder layer 1", 0)
    texts = ["그들은 ", "'어제' ", "강에서\n", "\tif x:\n", "    print(1)", "\n", "."]
    sentences = [*SOURCES, "그들은 어제 강에서 낚시했다."]
    labels = {"subject": [*(each.rsplit(" ", 2)[0] for each in SOURCES), "그들"]}
    tree = find_beam_tree(translator, SOURCES[5], beam_size=5)
    made = [
        draw_alignment(alignment, title, given=dataclasses.replace(alignment, heading="낚시")),
        draw_alignment(words, title),
        draw_alignment(wide, title, given=wide),
        draw_beam_tree(dataclasses.replace(tree, source=title), most_pruned=4),
        draw_beam_tree(find_beam_tree(translator, SOURCES[0], beam_size=1)),
        draw_gates(find_gates(recording), list(recording.layers), title),
        draw_activations(
            dataclasses.replace(
                activations,
                pieces=texts,
                texts=texts,
                values=[0.9, -0.9, 0.3, 0, -0.4, 1, -1],
                property="line_length",
                truth=[0.1, 0.2, 0.3, 0.5, 1, 0.1, 0],
                highest=10,
            ),
            title,
        ),
        draw_summary(
            find_summary(translator, sentences, labels), colour_by="subject", highlight=sentences[3]
        ),
    ]
    guide = [path.read_text("utf-8") for path in sorted(GUIDE.glob("*.svg"))]
    return dict(zip(FIGURES, [*made, *guide], strict=True))


def look(figures, folder, *, dark=False):
    """What the probe says of each figure."""
    holders = "".join(f'<div id="{name}">{figure}</div>' for name, figure in figures.items())
    page = f"<!DOCTYPE html><meta charset='utf-8'><script>{INK}{PROBE}</script>{holders}"
    (folder / "figures.html").write_text(page, "utf-8")
    found, _ = browse(folder / "figures.html", folder / "profile", dark=dark, window=(2400, 1600))
    return found


@pytest.fixture(scope="module", params=[False, True], ids=["light", "dark"])
def looks(request, figures, tmp_path_factory):
    return look(figures, tmp_path_factory.mktemp("figures"), dark=request.param)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_be_read(looks, name):
    found = looks[name]
    assert found["outside"] == []
    assert found["overlapping"] == []
    assert found["missing"] == []
    assert found["faint"] == []
    assert found["smallest"] >= 8, "pixels of the smallest letters where a page shrinks the figure"
    assert found["texts"] > 5
    assert found["hovers"] > 5


def test_light_and_dark_follow_the_reader(figures, tmp_path):
    pages = [look({"one": figures["unit"]}, tmp_path, dark=dark) for dark in (False, True)]
    assert [page["one"]["page"] for page in pages] == ["rgb(255, 255, 255)", "rgb(13, 17, 23)"]


def test_faults_would_be_found(tmp_path):
    body = [
        text(10, 40, "beyond the right border", "label"),
        text(10, 80, "one above", "label"),
        text(20, 84, "another", "label"),
        text(10, 120, "\u0378", "label"),
        '<rect x="0" y="130" width="100" height="40" class="weight"/>',
        text(10, 150, "on blue", "label"),
        text(10, 200, "fine", "label"),
    ]
    figure = document(body, title="spoilt", width=100, height=220, kind="spoilt")
    found = look({"spoilt": figure}, tmp_path)["spoilt"]
    assert found["outside"] == ["beyond the right border"]
    assert found["overlapping"] == ["one above / another"]
    assert found["missing"] == ["\u0378"]
    assert found["faint"] == ["on blue"]
