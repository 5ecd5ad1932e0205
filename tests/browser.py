"""Opens pages in a headless browser, with a script inside that sends back what it found."""

import json
import re
import shutil
import subprocess
from html import unescape

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--enable-logging=stderr", "--virtual-time-budget=10000"),
)
# A letter that no font has is drawn as U+0378 is, to which no letter was ever assigned.
INK = """
function inkOf(letter, family) {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", {willReadFrequently: true});
  canvas.width = canvas.height = 40;
  context.font = "24px " + family;
  context.fillText(letter, 4, 30);
  return context.getImageData(0, 0, 40, 40).data.join();
}
function parcelOf(found) {
  const parcel = document.createElement("pre");
  parcel.id = "found";
  parcel.textContent = JSON.stringify(found);
  return parcel.outerHTML;
}
"""


def browse(page, profile, *, dark, window=()):
    """What a page sends back, in `found`, once it is loaded; and what the console said.

    Args:
        page: Its script puts what `parcelOf` makes into the document.
        profile: Folder for the browser.
        window: Width and height in pixels.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert browser, f"No browser is installed; these tests need one of {', '.join(BROWSERS)}."
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    command = [browser, *OPTIONS, scheme, f"--user-data-dir={profile}", "--dump-dom"]
    if window:
        command.append(f"--window-size={window[0]},{window[1]}")
    done = subprocess.run(
        [*command, "--allow-file-access-from-files", page.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr
    return json.loads(unescape(found[1])), re.findall(r"CONSOLE.*", done.stderr)
