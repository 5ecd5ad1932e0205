"""Commands start without what they do not need."""

import subprocess
import sys

import pytest

HEAVY = ("lightning", "datasets", "matplotlib", "tensorboard", "pyarrow", "pandas", "sympy")


def run_python(code, environment):
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return result.stdout


LOADED = "import sys; print(*sorted(name for name in sys.modules if '.' not in name))"


def test_help_of_translate_loads_no_torch(environment):
    code = f"from seq2seq.cli import main; main(['translate', '--help']); {LOADED}"
    loaded = set(run_python(code, environment).splitlines()[-1].split())
    assert {"seq2seq", "jsonargparse"} <= loaded
    assert not {"torch", "sentencepiece", "sacrebleu", *HEAVY} & loaded


def test_importing_the_package_loads_none_of_its_parts(environment):
    loaded = run_python(f"import seq2seq; {LOADED}", environment).split()
    assert not {"torch", "yaml", "jsonargparse"} & set(loaded)


def test_translating_loads_neither_lightning_nor_datasets(tiny_directory, environment):
    code = (
        "import io, sys; from seq2seq.cli import main;"
        "sys.stdin = io.TextIOWrapper(io.BytesIO(b'ein Hund\\n'));"
        f"main(['translate', {str(tiny_directory)!r}]); {LOADED}"
    )
    loaded = set(run_python(code, environment).splitlines()[-1].split())
    assert "torch" in loaded
    assert not set(HEAVY) & loaded


def test_generating_loads_neither_lightning_nor_datasets_nor_pictures(text_directory, environment):
    code = (
        "import sys; from seq2seq.cli import main;"
        f"main(['generate', {str(text_directory)!r}, '--length', '3']); {LOADED};"
        "print('seq2seq.insight.figure' in sys.modules, 'seq2seq.translator' in sys.modules)"
    )
    *_, loaded, others = run_python(code, environment).splitlines()
    assert "torch" in loaded.split()
    assert not {"sacrebleu", *HEAVY} & set(loaded.split())
    assert others == "False False"


def test_public_names_are_found_and_others_are_not():
    import seq2seq

    assert {"Translator", "Translation", "Recipe", "run", "ConfigurationError"} <= set(dir(seq2seq))
    for name in dir(seq2seq):
        assert getattr(seq2seq, name).__name__ == name
    with pytest.raises(AttributeError, match="module 'seq2seq' has no attribute 'translater'"):
        _ = seq2seq.translater
