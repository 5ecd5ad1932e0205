"""What a translation needs of memory, and what it does where that is not there."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_translator import SOURCES

LIMITED = """
import re, resource, sys
import torch
from seq2seq.translator import Translator

torch.set_num_threads(1)
translator = Translator.load(sys.argv[1], device="cpu", precision="float32")
sources = sys.stdin.read().splitlines()
search = {"beam_size": 200, "max_length_ratio": 0.1, "with_alignment": False}
expected = [t.text for t in translator.translate(sources, batch_size=400, **search)]
assert translator.engine.batches.num_halved == 0
status = open("/proc/self/status").read()
limit = int(re.search(r"VmData:\\s*(\\d+)", status)[1]) * 1024 + 250 * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
found = [t.text for t in translator.translate(sources, batch_size=12000, **search)]
print(found == expected, translator.engine.batches.num_halved)
"""


@pytest.mark.slow
def test_a_batch_is_halved_where_the_system_gives_no_more_memory(tiny_directory, environment):
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tiny_directory)],
        input="\n".join(f"{source} {number}" for number in range(30) for source in SOURCES),
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    is_same, num_halved = result.stdout.split()
    assert is_same == "True"
    assert int(num_halved) >= 1


def anonymous_megabytes(process):
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return None
    match = re.search(r"RssAnon:\s*(\d+) kB", status)
    return int(match[1]) / 1000 if match else None


def memory_of_a_stream(model, environment, tmp_path, num_lines):
    """Translates short lines; pairs of bytes written and megabytes, in the order of time."""
    with open(tmp_path / "in", "w") as file:
        for number in range(num_lines):
            file.write(f"{SOURCES[number % 12].split()[number % 2]} {number % 7}\n")
    command = [sys.executable, "-m", "seq2seq", "translate", str(model), "--quiet"]
    options = ["--beam_size", "1", "--batch_size", "64", "--max_length_ratio", "0.1"]
    looks = []
    with open(tmp_path / "in") as source, open(tmp_path / "out", "wb") as target:
        process = subprocess.Popen(
            [*command, *options], stdin=source, stdout=target, env=environment
        )
        while process.poll() is None:
            megabytes = anonymous_megabytes(process)
            if megabytes is not None:
                looks.append(((tmp_path / "out").stat().st_size, megabytes))
            time.sleep(0.02)
    assert process.returncode == 0
    assert (tmp_path / "out").read_bytes().count(b"\n") == num_lines
    return looks


@pytest.mark.parametrize("num_lines", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_stream_needs_no_more_memory_at_its_end_than_at_its_quarter(
    tiny_directory, environment, tmp_path, num_lines
):
    looks = memory_of_a_stream(tiny_directory, environment, tmp_path, num_lines)
    size = (tmp_path / "out").stat().st_size
    early = max(megabytes for done, megabytes in looks if done <= size / 4)
    late = max(megabytes for done, megabytes in looks)
    assert late - early < 16, f"{early:.0f} MB in the first quarter, then {late:.0f} MB"
