import dataclasses
import hashlib
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.config import ConfigurationError
from seq2seq.lines import LineReader, numbered_windows
from seq2seq.partial_output import (
    ResumeError,
    Shard,
    _checksum,
    claimed,
    is_begun,
    is_claimed,
    publish,
)

SETTINGS = {"devices": 1, "beam_size": 5}
LINES = [f"line {number}" for number in range(1, 11)]


def windows(lines, size=4):
    return numbered_windows(LineReader(io.BytesIO("".join(f"{x}\n" for x in lines).encode())), size)


def write(shard, lines=LINES, *, num_shards=1, stop_after=None, settings=SETTINGS, resume=True):
    """Writes the windows of a shard in capitals, all or some of them; returns those it wrote."""
    written = []
    with shard.opened(settings, resume=resume):
        done = shard.record
        for window in shard.remaining(windows(lines)):
            done = dataclasses.replace(done, num_lines=window.last, digest=window.digest)
            if window.number % num_shards != shard.index:
                continue
            if len(written) == stop_after:
                return written
            text = "".join(f"{line.upper()}\n" for line in window.lines)
            shard.append(text.encode(), done)
            written.append(window.number)
        shard.finish(done)
    return written


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out.en"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


CAPITALS = "".join(f"{line.upper()}\n" for line in LINES)


def test_a_shard_goes_on_where_another_process_left_it(output):
    assert write(Shard(output, 0), stop_after=2) == [0, 1]
    shard = Shard(output, 0)
    assert write(shard) == [2]
    assert (shard.record.num_lines, shard.record.is_finished) == (10, True)
    publish([shard], ())
    assert output.read_text() == CAPITALS
    assert names(output.parent) == ["out.en"]


def test_what_a_killed_process_wrote_beyond_its_record_is_cut_off(output):
    write(Shard(output, 0), stop_after=1)
    with open(Shard(output, 0).lines_file, "ab") as file:
        file.write(b"half a li")
    shard = Shard(output, 0)
    write(shard)
    assert shard.lines_file.read_text() == CAPITALS


def test_without_resume_a_shard_begins_anew(output):
    write(Shard(output, 0), stop_after=2)
    assert Shard(output, 0).is_begun
    shard = Shard(output, 0)
    assert write(shard, LINES[:4], resume=False) == [0]
    assert shard.lines_file.read_text() == CAPITALS[: 4 * len("LINE 1\n")]


def test_a_shard_without_a_window_leaves_nothing(output):
    shard = Shard(output, 0)
    with pytest.raises(OSError, match="full"), shard.opened(SETTINGS, resume=False):
        shard.lines_file.write_bytes(b"half")
        raise OSError("full")
    assert names(output.parent) == []


def test_one_process_writes_at_a_time(output):
    first, second = Shard(output, 0), Shard(output, 0)
    with (
        first.opened(SETTINGS, resume=False),
        pytest.raises(ConfigurationError, match=r"out\.en is being written by another translation"),
        second.opened(SETTINGS, resume=True),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("beam_size", 4, "`--beam_size` was 5 when the translation began, not 4; begin anew"),
        ("devices", 2, "`--devices` was 1 when the translation began, not 2"),
        ("model", "abc", "the model has changed since the translation began"),
        ("reverse", "abc", "the reverse model has changed since the translation began"),
        ("language_model", "abc", "the language model has changed since the translation began"),
        ("version", "9", "the version of seq2seq, None, has changed since the translation began"),
    ],
)
def test_other_settings_are_refused(output, name, value, message):
    write(Shard(output, 0), stop_after=1)
    with (
        pytest.raises(ResumeError, match=message),
        Shard(output, 0).opened({**SETTINGS, name: value}, resume=True),
    ):
        pass
    assert write(Shard(output, 0)) == [1, 2], "nothing was touched"


@pytest.mark.parametrize(
    "lines",
    [
        ["other", *LINES[1:]],
        [*LINES[:7], "other", *LINES[8:]],
        LINES[:7],
        [],
        ["line 1\u2028", *LINES[1:]],
        LINES[1:],
    ],
)
def test_an_input_that_has_changed_is_refused(output, lines):
    write(Shard(output, 0), stop_after=2)
    with pytest.raises(ResumeError, match="the input has changed in the 8 lines"):
        write(Shard(output, 0), lines)
    assert write(Shard(output, 0)) == [2]


def test_lines_after_those_that_are_done_may_change(output):
    write(Shard(output, 0), stop_after=2)
    shard = Shard(output, 0)
    write(shard, [*LINES[:8], "a", "b", "c"])
    assert shard.lines_file.read_text().endswith("LINE 8\nA\nB\nC\n")


def damaged_records(sound):
    yield b""
    yield b"null"
    yield b"[" * 100_000
    yield b'{"settings": ' + b"9" * 10_000 + b"}"
    yield json.dumps(sound).encode()[:-5]
    yield json.dumps({**sound, "more": 1}).encode()
    yield json.dumps({**sound, "num_bytes": 10**9}).encode()
    for name, value in [
        ("settings", None),
        ("num_lines", -1),
        ("num_lines", 1.5),
        ("num_lines", True),
        ("num_bytes", "8"),
        ("digest", 7),
        ("counts", [1]),
        ("counts", {"cut": None}),
        ("is_finished", 0),
        ("checksum", "7"),
        ("start", None),
    ]:
        values = {key: sound[key] for key in sound if key != "crc32"} | {name: value}
        yield json.dumps({**values, "crc32": _checksum(values)}).encode()
        yield json.dumps({**values, "crc32": sound["crc32"]}).encode()


def test_a_damaged_record_is_refused(output):
    write(Shard(output, 0), stop_after=1)
    file = Shard(output, 0).folder / "done-1.json"
    sound = file.read_bytes()
    for data in damaged_records(json.loads(sound)):
        file.write_bytes(data)
        with (
            pytest.raises(ResumeError, match=r"done-1\.json or lines-1 beside it is damaged"),
            Shard(output, 0).opened(SETTINGS, resume=True),
        ):
            pass
    file.write_bytes(sound)
    Shard(output, 0).lines_file.unlink()
    with pytest.raises(ResumeError, match="is damaged"):
        Shard(output, 0).read()


@settings(max_examples=15)
@given(st.lists(st.text(max_size=5).map(lambda x: x.replace("\n", "")), max_size=25))
def test_shards_joined_are_what_one_process_writes(lines):
    lines = [line.removesuffix("\r") for line in lines]
    results = []
    for num_shards in (1, 2, 3):
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder, "out")
            shards = [Shard(output, index) for index in range(num_shards)]
            for shard in shards[::-1]:
                write(shard, lines, num_shards=num_shards)
            assert all(shard.catch_up(shards[0].record) for shard in shards)
            publish(shards, windows(lines))
            results.append(output.read_bytes())
    expected = "".join(f"{line.upper()}\n" for line in lines).encode()
    assert results == [expected] * 3


def test_a_shard_waits_for_one_that_is_not_complete(output):
    first, second = Shard(output, 0), Shard(output, 1)
    write(first, num_shards=2)
    assert not second.catch_up(first.record), "there is nothing"
    write(second, num_shards=2, stop_after=0)
    assert not second.catch_up(first.record), "it has not finished"
    write(Shard(output, 1), num_shards=2)
    assert second.catch_up(first.record)


@pytest.mark.parametrize(
    ("lines", "beam_size"), [(LINES[:8], 5), (["other", *LINES[1:]], 5), (LINES, 6)]
)
def test_a_complete_shard_of_another_input_will_never_fit(output, lines, beam_size):
    first, second = Shard(output, 0), Shard(output, 1)
    write(first, num_shards=2)
    write(second, lines, num_shards=2, settings={**SETTINGS, "beam_size": beam_size})
    message = "the input or the settings of process 2 differ from those of the first one"
    with pytest.raises(ResumeError, match=message):
        second.catch_up(first.record)


def test_a_shard_that_an_earlier_start_completed_may_yet_be_written_again(output):
    first, second = Shard(output, 0), Shard(output, 1)
    with claimed(output):
        write(second, num_shards=2)
    with claimed(output):
        write(first, num_shards=2)
        assert not second.catch_up(first.record)
        assert second.catch_up(first.record, late=True), "it may not come at all"
        write(Shard(output, 1), num_shards=2)
        assert second.catch_up(first.record)


def test_an_output_belongs_to_those_that_were_started_together(output):
    assert not is_claimed(output, "a 1")
    with claimed(output, "a 1"):
        assert is_claimed(output, "a 1")
        assert not is_claimed(output, "a")
        with (
            pytest.raises(ConfigurationError, match=r"out\.en is being written by another"),
            claimed(output, "b"),
        ):
            pass
        assert is_claimed(output, "a 1")
    assert not is_claimed(output, "a 1")
    assert names(output.parent) == []


def test_what_is_begun_is_left_and_nothing_else(output):
    with claimed(output):
        write(Shard(output, 0), stop_after=1)
    assert is_begun(output)
    assert names(Shard(output, 0).folder) == ["done-1.json", "lines-1"]
    Shard(output, 0).forget()
    with claimed(output):
        (Shard(output, 0).folder / "lock-2").touch()  # a killed process left it
    assert names(output.parent) == []


@pytest.mark.parametrize("num_shards", [1, 2])
def test_damaged_lines_are_not_published(output, num_shards):
    shards = [Shard(output, index) for index in range(num_shards)]
    for shard in shards:
        write(shard, num_shards=num_shards)
    sound = shards[-1].lines_file.read_bytes()
    shards[-1].lines_file.write_bytes(sound.replace(b"E", b"X", 1))
    with pytest.raises(ResumeError, match=rf"lines-{num_shards} is damaged; begin anew"):
        publish(shards, windows(LINES))
    assert not output.exists()
    shards[-1].lines_file.write_bytes(sound)
    publish(shards, windows(LINES))
    assert output.read_text() == CAPITALS


@pytest.mark.parametrize("lines", [LINES[:8], [*LINES, "more"], ["other", *LINES[1:]]])
def test_an_input_that_has_changed_meanwhile_is_not_joined(output, lines):
    shards = [Shard(output, 0), Shard(output, 1)]
    for shard in shards:
        write(shard, num_shards=2)
    with pytest.raises(ConfigurationError, match="has changed while it was translated"):
        publish(shards, windows(lines))
    assert not output.exists()
    publish(shards, windows(LINES))
    assert output.read_text() == CAPITALS


def test_shards_of_inputs_that_differ_are_not_joined(output):
    shards = [Shard(output, 0), Shard(output, 1)]
    write(shards[0], num_shards=2)
    write(shards[1], [*LINES[:9], "other"], num_shards=2)
    with pytest.raises(ConfigurationError, match="has changed while it was translated"):
        publish(shards, windows(LINES))


def test_the_digest_is_that_of_the_lines():
    *_, last = windows(["a\u2028b", "ü"])
    expected = hashlib.blake2b("a\u2028b\nü\n".encode(), digest_size=16).hexdigest()
    assert (last.digest, last.first, last.last) == (expected, 1, 2)


def test_a_full_disk_leaves_what_was_there(output, monkeypatch):
    write(Shard(output, 0), stop_after=1)
    shard = Shard(output, 0)

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            write(shard)
    assert shard.record.num_lines == Shard(output, 0).read().num_lines == 4
    assert write(Shard(output, 0)) == [1, 2]
    assert shard.read().is_finished
