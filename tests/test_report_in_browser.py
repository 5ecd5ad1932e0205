"""Opens reports and pages about a sentence in a headless browser; a script inside looks at them."""

import json
import re

import pytest
from browser import INK, browse
from sample_run import make_run, make_sentence, write_json
from tiny_translator import SOURCES

from seq2seq.config import Recipe
from seq2seq.insight.page import inspect_sentence
from seq2seq.recipe_yaml import recipe_to_yaml
from seq2seq.report import write_report
from seq2seq.translator import Translator

pytestmark = pytest.mark.browser

JAPANESE = ("その自転車は青い。", "彼女は隣の家に住んでいる。")
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
# The page stands in a frame of a phone's width: windows of browsers have a smallest width.
FRAME = '<!DOCTYPE html><iframe id="frame" style="width: {width}px; height: 800px" src="{page}">'
PROBE = (
    f"<script>{INK}</script>"
    + """
<script>
addEventListener("load", () => {
  document.querySelectorAll("details").forEach((details) => { details.open = true; });
  const family = getComputedStyle(document.body).fontFamily;
  const missing = inkOf("\\u0378", family);
  const letters = [...new Set(document.querySelector("main").textContent)];
  const found = {
    viewport: document.documentElement.clientWidth,
    width: document.documentElement.scrollWidth,
    outside: [...document.querySelectorAll("main *")]
      .filter((one) => !one.closest(".scroll") && !one.closest("svg"))
      .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth)
      .map((one) => one.outerHTML.slice(0, 80)),
    missing: letters.filter((one) => one.trim() && inkOf(one, family) === missing),
    letters: letters.length,
    shrunk: [...document.querySelectorAll("svg.alignment")]
      .map((one) => [one.parentElement.scrollWidth, one.parentElement.clientWidth]),
    background: getComputedStyle(document.body).backgroundColor,
    ink: getComputedStyle(document.body).color,
    smallest: Math.min(...[...document.querySelectorAll(".chart text")]
      .map((one) => one.getBoundingClientRect().height)),
  };
  parent.postMessage(parcelOf(found), "*");
});
</script>
"""
)
RECEIVER = """
<script>
addEventListener("message", (event) => {
  document.body.insertAdjacentHTML("beforeend", event.data);
});
</script>
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A report of one run to English, of one to Japanese, and of two side by side."""
    folder = tmp_path_factory.mktemp("runs")
    first = make_run(folder / "a-run-whose-name-is-longer-than-any-phone-is-wide")
    second = make_run(folder / "fixed", attention="none", wrong="cow")
    japanese = make_run(folder / "ko-ja")
    recipe = Recipe(name="ko-ja", source_language="ko", target_language="ja")
    (japanese / "recipe.yaml").write_text(recipe_to_yaml(recipe), "utf-8")
    sentences = [make_sentence("자전거는 파랗다.", text, "", 2) for text in JAPANESE]
    lines = "".join(json.dumps(sentence) + "\n" for sentence in sentences)
    (japanese / "translations" / "test.jsonl").write_text(lines)
    return {
        "english": write_report([first]),
        "japanese": write_report([japanese]),
        "several": write_report([first, second], folder / "several.html"),
    }


@pytest.fixture
def look(tmp_path):
    """Opens a page of a width and returns what the script in it found."""

    def look(page, width, *, dark=False):
        text = page.read_text("utf-8").replace("</body>", f"{PROBE}</body>")
        assert POLICY in text, "the page forbids scripts"
        text = text.replace(POLICY, f"{POLICY}; script-src 'unsafe-inline'")
        (tmp_path / "page.html").write_text(text, "utf-8")
        frame = RECEIVER + FRAME.format(width=width, page="page.html")
        (tmp_path / "frame.html").write_text(frame)
        found, console = browse(tmp_path / "frame.html", tmp_path / "profile", dark=dark)
        return {"console": console, **found}

    return look


@pytest.mark.parametrize("kind", ["english", "japanese", "several"])
@pytest.mark.parametrize("width", [390, 1200])
def test_a_page_fits_its_window_and_loads_nothing(pages, look, kind, width):
    found = look(pages[kind], width)
    assert found["viewport"] == width
    assert found["width"] == width, found["outside"]
    assert found["outside"] == []
    assert found["console"] == [], "errors, or something from outside that the policy forbids"
    assert found["smallest"] >= 10, "pixels of the smallest letters of the charts"


@pytest.mark.parametrize(("columns", "fits"), [(12, True), (30, False)])
def test_a_heat_map_shrinks_to_a_phone_while_it_can_be_read(look, tmp_path, columns, fits):
    run = make_run(tmp_path / "run")
    file = run / "translations" / "alignments.json"
    (alignment,) = json.loads(file.read_text("utf-8"))
    alignment |= {"source_pieces": ["▁word"] * columns, "weights": [[1 / columns] * columns] * 2}
    write_json(file, [alignment])
    ((content, room),) = look(write_report([run]), 390)["shrunk"]
    assert (content == room) is fits


@pytest.mark.parametrize("width", [390, 1200])
def test_a_page_about_a_sentence_fits_its_window_and_loads_nothing(
    look, tiny_directory, tmp_path, width
):
    translator = Translator.load(tiny_directory, precision="float32", plain=True)
    _, html = inspect_sentence(translator, f"{SOURCES[5]} 그들은 강에서 낚시했다.")
    page = tmp_path / "inspect.html"
    page.write_text(html, "utf-8")
    found = look(page, width)
    assert found["width"] == width, found["outside"]
    assert found["outside"] == found["missing"] == found["console"] == []


def test_something_from_outside_would_be_found(pages, look, tmp_path):
    spoilt = tmp_path / "spoilt.html"
    text = pages["english"].read_text("utf-8").replace("<footer>", '<footer><img src="x.png">')
    spoilt.write_text(text, "utf-8")
    (complaint,) = look(spoilt, 390)["console"]
    assert "x.png" in complaint


@pytest.mark.parametrize("kind", ["english", "japanese"])
def test_every_letter_has_a_glyph(pages, look, kind):
    found = look(pages[kind], 390)
    assert found["missing"] == []
    assert found["letters"] > 80


def test_a_letter_without_a_glyph_would_be_found(pages, look, tmp_path):
    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text(pages["english"].read_text("utf-8").replace("고양이", "\u0378"), "utf-8")
    assert look(spoilt, 390)["missing"] == ["\u0378"]


def test_light_and_dark_follow_the_reader(pages, look):
    light, dark = (look(pages["english"], 390, dark=dark) for dark in (False, True))
    assert brightness(light["background"]) > 200 > 100 > brightness(light["ink"])
    assert brightness(dark["background"]) < 60 < 180 < brightness(dark["ink"])


def brightness(color):
    channels = [int(channel) for channel in re.findall(r"\d+", color)[:3]]
    return sum(channels) / 3
