"""The locks of a release against what the project says it needs."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WITHOUT_TORCH = "release-without-torch.lock"
LOCKS = ["release.lock", WITHOUT_TORCH]


def same_name(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(file):
    """Name, version, marker and hashes of each requirement of a lock."""
    text = (ROOT / "requirements" / file).read_text("utf-8").replace("\\\n", " ")
    requirements = [line for line in text.splitlines() if line and not line.startswith("#")]
    pattern = r"([\w.-]+)==([\w.]+)(?: ; (.+?))? +((?:--hash=sha256:[0-9a-f]{64} *)+)"
    matches = [re.fullmatch(pattern, line) for line in requirements]
    assert all(matches), "every line has one version and its hashes"
    return {same_name(match[1]): match for match in matches}


def constraints():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return {
        same_name(name): version
        for name, _, version in (line.partition("==") for line in lines if "==" in line)
    }


@pytest.mark.parametrize("file", LOCKS)
def test_locks_have_the_versions_of_the_constraints(file):
    tested = constraints()
    versions = {name: match[2] for name, match in locked(file).items() if name in tested}
    assert len(versions) > 60
    assert versions == {name: tested[name] for name in versions}


@pytest.mark.parametrize("file", LOCKS)
def test_locks_hold_all_that_the_project_names(file):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = {same_name(re.match(r"[\w.-]+", need)[0]) for need in project["dependencies"]}
    assert named - {"torch"} <= locked(file).keys()
    assert "torch" in locked(file)  # in the second one, for no system


def test_one_lock_brings_no_torch_to_any_system():
    needs_torch = re.compile("torch|triton|nvidia-.*|cuda-.*")
    for name, match in locked(WITHOUT_TORCH).items():
        if needs_torch.fullmatch(name):
            assert match[3] == "sys_platform == 'never'"


@pytest.mark.parametrize("file", LOCKS)
def test_locks_name_no_place_to_download_from(file):
    text = (ROOT / "requirements" / file).read_text("utf-8")
    assert "://" not in text
    assert "index-url" not in text
