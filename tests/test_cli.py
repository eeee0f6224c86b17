"""What a person gets from the words alone: quickly, and without torch."""

import os
import subprocess
import sys
import time

import pytest

from genexp.cli import COMMANDS, main

LIGHT = """
import sys
from genexp.cli import main
code = main({arguments!r})
assert not any(name in sys.modules for name in ("torch", "lightning", "wandb", "datasets"))
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["trian"], 2),
        (["train", "--help"], 0),
        (["evaluate", "--help"], 0),
        (["sample", "--help"], 0),
        (["explore", "--help"], 0),
        (["export", "--help"], 0),
        (["list"], 0),
        (["list", "loss"], 0),
        (["train", "--cfg"], 0),
        (["train", "optimizer.lrr=1"], 2),
        (["train", "-m", "loss=hinge,hing"], 2),
        (["evaluate", "nowhere"], 2),
        (["explore", "nowhere", "what=walks"], 2),
        (["export", "nowhere"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_words_are_answered_without_torch(arguments, code):
    done = subprocess.run([sys.executable, "-c", LIGHT.format(arguments=arguments)], capture_output=True, text=True)
    assert done.returncode == code, done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["trian"]], ids=" ".join)
def test_help_and_a_misspelt_command_take_less_than_half_a_second(arguments):
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "genexp", *arguments], capture_output=True)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.5


def test_help_names_every_command(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(f"genexp {command}" in text for command in COMMANDS)


def test_the_resolved_config_is_printed(capsys):
    assert main(["train", "--cfg", "experiment=ring8_gan", "seed=7"]) == 0
    text = capsys.readouterr().out
    assert "seed: 7" in text
    assert "${" not in text


def test_a_reader_that_has_seen_enough_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "genexp", "list", "experiment"]
    result = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (result.returncode, result.stderr) == (141, "")
