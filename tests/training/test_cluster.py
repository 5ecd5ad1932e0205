import multiprocessing
import os
import signal
import socket
import subprocess
import sys

import pytest
import together
import torch
from safetensors.torch import load_file

from seq2seq.config import ConfigurationError
from seq2seq.recipe_yaml import recipe_to_yaml
from seq2seq.training.cluster import Launched, find_launch
from seq2seq.training.launch import Launch
from seq2seq.training.spawned import Spawned

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "x",
    "RANK": "5",
    "WORLD_SIZE": "6",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_RANK": "2",
}


@pytest.fixture
def environment(monkeypatch):
    """Sets variables, as a launcher does; without any there is none."""
    for name in list(os.environ):
        if name in TORCHRUN or name.startswith("SLURM_"):
            monkeypatch.delenv(name)

    def set_all(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


def test_without_a_launcher_the_recipe_decides(environment):
    assert type(find_launch(1)) is Launch
    launch = find_launch(3)
    assert isinstance(launch, Spawned)
    assert (launch.size, launch.local_size) == (3, 3)


@pytest.mark.parametrize("devices", [1, 6])
def test_torchrun_says_who_a_process_is(environment, devices):
    environment(TORCHRUN)
    launch = find_launch(devices)
    assert isinstance(launch, Launched)
    assert (launch.size, launch.local_size) == (6, 2)
    world = launch._world
    assert (world.rank, world.size, world.local_rank, world.local_size) == (5, 6, 1, 2)
    assert world.threads == max(1, len(os.sched_getaffinity(0)) // 2)


def test_so_does_slurm_which_gives_each_task_its_cores(environment):
    environment(together.slurm(1, 2))
    launch = find_launch(1)
    assert isinstance(launch, Launched)
    world = launch._world
    assert (world.rank, world.size, world.local_rank, world.local_size) == (1, 2, 1, 2)
    assert world.threads is None


def test_a_batch_script_of_slurm_is_no_task(environment):
    environment(together.slurm(0, 2))
    environment({"SLURM_STEP_ID": "0"})
    assert find_launch(1).size == 2
    del os.environ["SLURM_STEP_ID"]
    assert type(find_launch(1)) is Launch
    assert isinstance(find_launch(2), Spawned)


@pytest.mark.parametrize("variables", [TORCHRUN, together.slurm(0, 1)])
def test_one_process_of_a_launcher_trains_alone(environment, variables):
    environment({**variables, **({"WORLD_SIZE": "1"} if "RANK" in variables else {})})
    assert type(find_launch(1)) is Launch


@pytest.mark.parametrize(
    ("variables", "devices", "message"),
    [
        (
            TORCHRUN,
            2,
            "`training.devices` is 2, but torchrun has started 6 processes; leave the option out.",
        ),
        (
            {**TORCHRUN, "LOCAL_WORLD_SIZE": "4"},
            1,
            "torchrun must start equally many processes on each machine, but started 6 on machines "
            "of 4.",
        ),
        (
            {k: v for k, v in together.slurm(0, 2).items() if k != "SLURM_NTASKS_PER_NODE"},
            1,
            "SLURM must be told `--ntasks-per-node`, not `--ntasks` alone.",
        ),
    ],
)
def test_what_cannot_work_is_said(environment, variables, devices, message):
    environment(variables)
    with pytest.raises(ConfigurationError) as caught:
        find_launch(devices)
    assert str(caught.value) == message


def run_tasks(recipe, run_dir, *, resume=False):
    """Both tasks of SLURM, forked from a server that has imported everything."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("forkserver")
    tasks = [
        context.Process(target=together.train_as_task, args=(rank, port, recipe, run_dir, resume))
        for rank in (0, 1)
    ]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join(120)
    return [task.exitcode for task in tasks]


def test_tasks_of_a_cluster_train_as_processes_that_were_started_here(
    tmp_path, tiny_corpus, quick_start, straight
):
    recipe = together.make_recipe(tiny_corpus, **together.SETTINGS)
    assert run_tasks(recipe, tmp_path / "run") == [0, 0]
    weights = load_file(tmp_path / "run/model.safetensors")
    expected = load_file(straight.path / "model.safetensors")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in expected.items())
    first, second = said(tmp_path)  # one process speaks
    assert [line for line in first if line.startswith("epoch 3.00")]
    assert second == []

    assert run_tasks(recipe, tmp_path / "run") == [2, 2]
    ((line,), second) = said(tmp_path)
    assert line.endswith(
        "holds a run already; continue it with `--resume` or replace it with `--overwrite`."
    )
    assert second == []


def said(folder):
    """Lines on the standard errors of both tasks."""
    return [(folder / f"task-{rank}.txt").read_text("utf-8").splitlines() for rank in (0, 1)]


@pytest.mark.slow
def test_torchrun_trains_is_interrupted_and_resumes(tmp_path, tiny_corpus):
    recipe = together.make_recipe(tiny_corpus, **{**together.SETTINGS, "max_epochs": 10**6})
    (tmp_path / "recipe.yaml").write_text(recipe_to_yaml(recipe), "utf-8")

    def start(*options):
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
                *("--nproc_per_node", "2", "-m", "seq2seq", "train", "--config", "recipe.yaml"),
                *("--training.patience", "1000000", *options),
            ],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    process = start()
    for line in process.stderr:
        if line.startswith("epoch 2.00"):
            break
    process.send_signal(signal.SIGTERM)
    found = [line for line in process.stderr if line.startswith("seq2seq: ")]
    process.wait()
    assert len(found) == 1
    assert "`--resume` continues there." in found[0]
    process = start("--resume", "--training.max_minutes", "0.2")
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert output.count("runs/copy/report.html") == 1
