"""Demucs and Spleeter, by a program that stands in for them."""

import json
import stat
import sys

import numpy as np
import pytest
import soundfile

from pipelines.audio import separation_programs
from pipelines.runtime.app import UserError
from tests.support.sounds import tone

# Writes what it was given as arguments, and a folder of sounds as the programs do.
STAND_IN = f"""#!{sys.executable}
import json, os, shutil, sys
folder = sys.argv[sys.argv.index("{{flag}}") + 1]
made = os.path.join(folder, "model", "song")
os.makedirs(made)
for name in ("drums", "vocals"):
    shutil.copy(sys.argv[-1], os.path.join(made, name + ".wav"))
with open("{{log}}", "w") as file:
    json.dump(sys.argv[1:], file)
"""


def install(path, text, monkeypatch, variable):
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv(variable, str(path))


@pytest.fixture
def song(tmp_path):
    soundfile.write(tmp_path / "-song.wav", tone(440), 16_000)
    return tmp_path / "-song.wav"


@pytest.mark.parametrize("method, flag", [("demucs", "--out"), ("spleeter", "-o")])
def test_a_program_is_run(method, flag, song, tmp_path, monkeypatch):
    log = tmp_path / "log.json"
    text = STAND_IN.format(flag=flag, log=log)
    install(tmp_path / "program", text, monkeypatch, method.upper())
    folder = tmp_path / "out"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    assert separation_programs.separate(method, "-song.wav", folder) == ["drums", "vocals"]
    assert sorted(path.name for path in folder.iterdir()) == ["drums.wav", "vocals.wav"]
    assert np.array_equal(soundfile.read(folder / "drums.wav")[0], soundfile.read(song)[0])
    # The file is named so that its first letter makes no flag of it.
    assert json.loads(log.read_text())[-1] == str(song)


def test_a_program_that_is_missing(song, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("DEMUCS", raising=False)
    with pytest.raises(UserError, match=r"needs the program demucs: it is not installed; install"):
        separation_programs.find("demucs")
    monkeypatch.setenv("SPLEETER", "/no/such/program")
    with pytest.raises(UserError, match="SPLEETER=/no/such/program is no program"):
        separation_programs.separate("spleeter", song, tmp_path)


def test_a_program_that_fails(song, tmp_path, monkeypatch):
    program = tmp_path / "program"
    install(program, "#!/bin/sh\necho no model; exit 3\n", monkeypatch, "DEMUCS")
    with pytest.raises(UserError, match=r"song\.wav: demucs ended with status 3: no model"):
        separation_programs.separate("demucs", song, tmp_path)
    install(program, "#!/bin/sh\necho done\n", monkeypatch, "DEMUCS")
    with pytest.raises(UserError, match=r"song\.wav: demucs wrote no WAV file: done"):
        separation_programs.separate("demucs", song, tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
