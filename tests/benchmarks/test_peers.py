"""Peers are played by classes that read what they are given and print what the peers print."""

import json
import re
import sys
from pathlib import Path

import peers
import processes
import pytest
import run_all
import toolkits

from seq2seq.model_directory import load_model_directory


class Joey:
    """Logs to files in the model's folder, translates lines into lines."""

    def __call__(self, command, lines):
        mode, file = command[1], Path(command[2])
        settings = json.loads(file.read_text("utf-8"))
        model = Path(settings["model_dir"])
        if mode == "train":
            model.mkdir()
            (model / "latest.ckpt").touch()
            self.vocabulary = Path(settings["data"]["src"]["voc_file"]).read_text("utf-8").split()
            self.sources = Path(settings["data"]["train"] + ".de").read_text("utf-8").splitlines()
            self.updates = settings["training"]["updates"]
            said = [f"Epoch 1, Tokens per Sec:  {speed:6d}, Lr: 1" for speed in (9, 100, 300)]
            (model / "train.log").write_text("\n".join(said), "utf-8")
            return ""
        assert Path(settings["testing"]["load_model"]).exists()
        (model / "translate.log").write_text("Generation took 0.5000[sec].\n", "utf-8")
        return lines


class OpenNMT:
    """Prints errors in training and logs to a file in translation; reads and writes files."""

    errors = ""

    def __call__(self, command, lines):
        options = dict(zip(command[1::2], command[2::2], strict=False))
        if command[0] == "onmt.bin.train":
            settings = json.loads(Path(options["-config"]).read_text("utf-8"))
            corpus = settings["data"]["corpus"]
            self.vocabulary = Path(settings["src_vocab"]).read_text("utf-8").split()
            self.sources = Path(corpus["path_src"]).read_text("utf-8").splitlines()
            self.updates = settings["train_steps"]
            self.model = f"{settings['save_model']}_step_{self.updates}.pt"
            said = [f"bsz: 9/ 8/ 2; 77/{speed:3d} tok/s;  1 sec;" for speed in (9, 100, 300)]
            self.errors = "\n".join(said)
            return ""
        assert options["--model"] == self.model
        given = Path(options["--src"]).read_text("utf-8")
        Path(options["--output"]).write_text(given, "utf-8")
        each = 500 / len(given.splitlines())
        Path(options["--log_file"]).write_text(f"Average translation time (ms): {each}\n", "utf-8")
        return ""


class Fairseq:
    """Prints everything; its translations stand among other lines."""

    def __call__(self, command, lines):
        options = dict(zip(command, [*command[1:], ""], strict=True))
        if command[0] == "fairseq_cli.preprocess":
            counted = Path(options["--srcdict"]).read_text("utf-8").splitlines()
            self.vocabulary = [line.split(" ")[0] for line in counted]
            self.sources = Path(options["--trainpref"] + ".de").read_text("utf-8").splitlines()
            self.data = options["--destdir"]
            return ""
        assert command[1] == self.data
        if command[0] == "fairseq_cli.train":
            self.updates = int(options["--max-update"])
            return "\n".join(f"epoch 001: 1 / 9 wps={speed}.0, ups=1" for speed in (9, 100, 300))
        lines = [f"S-{i}\t{line}\nH-{i}\t-0.5\t{line}" for i, line in enumerate(lines.splitlines())]
        return "\n".join([*lines, "Total time: 9.000 seconds; translation time: 0.500"])


class Marian:
    """Logs to the file that it is told, reads and writes files."""

    def __call__(self, command, lines):
        options = dict(zip(command, [*command[1:], ""], strict=True))
        if command[1] == "train":
            self.model = options["--model"]
            ids = json.loads(Path(options["--vocabs"]).read_text("utf-8"))
            assert list(ids.values()) == list(range(len(ids)))
            self.vocabulary = list(ids)[2:]
            self.sources = Path(options["--train-sets"]).read_text("utf-8").splitlines()
            self.updates = int(options["--after"].removesuffix("u"))
            said = [f"Time 2.1s : {speed} words/s" for speed in ("9.00", "100.00", "300.00")]
            Path(options["--log"]).write_text("\n".join(said), "utf-8")
            return ""
        assert (command[1], options["--models"]) == ("decode", self.model)
        Path(options["--output"]).write_text(Path(options["--input"]).read_text("utf-8"), "utf-8")
        Path(options["--log"]).write_text("Total time: 0.50000s wall\n", "utf-8")
        return ""


PLAYERS = {"joeynmt": Joey, "opennmt-py": OpenNMT, "fairseq": Fairseq, "marian": Marian}


@pytest.fixture
def corpus(tmp_path, known_pairs):
    for language, side in (("de", known_pairs.sources), ("en", known_pairs.targets)):
        (tmp_path / f"corpus.{language}").write_text("\n".join(side * 2), "utf-8")
    return tmp_path / "corpus"


@pytest.fixture
def result(tmp_path, monkeypatch, corpus):
    """Runs the script in this process, on networks of a few numbers, and reads its result."""

    def run(*options):
        file = tmp_path / "result.json"
        fixed = ["--corpus", corpus, "--shape", "tiny", "--sentences", "3", "--singly", "2"]
        fixed += ["--beam", "2", "--threads", "1", "--json", file, "--variants", "float32"]
        fixed += ["--updates", "4", "--batch_tokens", "60"]
        monkeypatch.setattr(sys, "argv", ["peers", *map(str, [*fixed, *options])])
        peers.main()
        return json.loads(file.read_text("utf-8"))

    return run


def play(monkeypatch, player):
    def run(command, *, threads, lines=""):
        assert command[:2] == ["its-python", "-m"]
        output = player(command[2:], lines)
        return processes.Finished(output, 0.0, 0.0, getattr(player, "errors", ""))

    monkeypatch.setattr(toolkits, "run", run)


@pytest.mark.parametrize("name", PLAYERS)
def test_peers_stand_beside_this_toolkit(name, result, monkeypatch, tiny_directory, known_pairs):
    player = PLAYERS[name]()
    play(monkeypatch, player)
    found = result("--peer", f"{name}=its-python", "--model", tiny_directory)
    assert found["benchmark"] == "peers" and not found["notes"]
    training, *searches = found["tables"]
    for table in found["tables"]:
        assert [row["variant"] for row in table["rows"]] == ["seq2seq float32", name]
        assert all(row["per second"] > 0 for row in table["rows"])
    assert training["rows"][1]["per second"] == pytest.approx(200)  # the first only warms up
    together, singly = (table["rows"][1] for table in searches)
    assert "batches of 64, 3 sentences" in searches[0]["title"]
    assert "one at a time, 2 sentences" in searches[1]["title"]
    assert (together["per second"], singly["per second"]) == pytest.approx((6, 4))

    tokenizer = load_model_directory(tiny_directory).tokenizers.source
    learnt, held_out = (known_pairs.sources * 2)[:-3], known_pairs.sources[-3:]
    assert player.updates == 4
    assert player.vocabulary == [str(i) for i in range(4, tokenizer.vocabulary_size)]
    assert player.sources == [
        " ".join(map(str, ids)) for ids in tokenizer.encode_batch(learnt)
    ]  # and none of those that are translated
    lengths = [len(ids) for ids in tokenizer.encode_batch(held_out)]
    assert together["pieces per sentence"] == pytest.approx(sum(lengths) / 3)
    assert singly["pieces per sentence"] == pytest.approx(sum(lengths[:2]) / 2)


def test_peers_that_are_not_there_are_left_out(result):
    found = result(
        *("--peer", f"joeynmt={sys.executable}", "--peer", "marian=/no/such/python"),
        *("--source_language", "de", "--target_language", "en"),
    )
    assert [row["variant"] for row in found["tables"][0]["rows"]] == ["seq2seq float32"]
    joey, marian = found["notes"]
    assert re.fullmatch(r"joeynmt is missing: python\S*: No module named joeynmt", joey)
    assert marian.endswith("No such file or directory: 'python'")
    assert found["settings"]["peer"] == "joeynmt marian"  # results name no folder of a machine


def test_peers_that_print_other_words_are_left_out(result, monkeypatch, tiny_directory):
    play(monkeypatch, lambda command, lines: "nothing of interest")
    found = result("--peer", "fairseq=its-python", "--model", tiny_directory, "--rounds", "2")
    assert found["notes"] == ["fairseq is missing: It printed nothing like `wps=([\\d.]+)`."]
    assert [row["variant"] for row in found["tables"][0]["rows"]] == ["seq2seq float32"]


def test_peers_that_leave_sentences_out_are_left_out(result, monkeypatch, tiny_directory):
    player = Fairseq()
    play(monkeypatch, lambda command, lines: player(command, lines.partition("\n")[0]))
    found = result("--peer", "fairseq=its-python", "--model", tiny_directory)
    assert found["notes"] == ["fairseq is missing: It translated 1 of 3 sentences."]


def test_options_that_do_not_fit_are_refused(result, tiny_directory, capsys):
    with pytest.raises(SystemExit, match="--source_language and --target_language"):
        result()
    with pytest.raises(SystemExit, match="has 24 pairs"):
        result("--model", tiny_directory, "--sentences", "20", "--pairs", "24")
    with pytest.raises(SystemExit):
        result("--peer", "moses=python")
    assert "must be joeynmt|opennmt-py|fairseq|marian=PYTHON" in capsys.readouterr().err


def test_flags_have_no_value_one_or_many():
    found = toolkits.flags({"cpu": True, "beam": 5, "vocabs": ["a", "b"]})
    assert found == ["--cpu", "--beam", "5", "--vocabs", "a", "b"]


def test_all_benchmarks_hand_peers_through(tmp_path, monkeypatch):
    commands = []

    def run(command, *, threads):
        commands.append(command)
        Path(command[command.index("--json") + 1]).write_text("{}", "utf-8")
        return processes.Finished("", 0.0, 0.0)

    monkeypatch.setattr(run_all, "run", run)
    monkeypatch.setattr(run_all, "save", lambda results, folder: None)
    options = ["--only", "startup", "--model", "m", "--source", "s"]
    options += ["--peer", "joeynmt=p", "--peer", "marian=q"]
    monkeypatch.setattr(sys, "argv", ["run_all", *options, "--corpus", "c"])
    run_all.main()
    assert [Path(command[1]).name for command in commands] == ["bench_startup.py", "peers.py"]
    assert "--peer" not in commands[0]
    given = " ".join(commands[1])
    assert "--peer joeynmt=p --peer marian=q --corpus c --model m" in given
    monkeypatch.setattr(sys, "argv", ["run_all", *options])
    with pytest.raises(SystemExit, match="--peer needs --corpus and --model"):
        run_all.main()


def test_what_a_process_says_besides_is_kept():
    command = [sys.executable, "-c", "import sys; print('a'); print('b', file=sys.stderr)"]
    finished = processes.run(command, threads=1)
    assert (finished.output, finished.errors) == ("a\n", "b\n")
