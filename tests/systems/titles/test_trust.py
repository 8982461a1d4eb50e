"""Where it is kept which text encoders may be loaded."""

import os

import pytest

from pipelines.runtime.app import UserError
from pipelines.systems.titles.text_encoders import trust


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


def test_trust_is_kept_for_one_fingerprint(home):
    assert not trust.is_trusted("sha256:1")
    with pytest.raises(UserError, match="^runs/x was not trained here.*--trust"):
        trust.require("runs/x", "sha256:1")
    trust.trust("sha256:1")
    trust.trust("sha256:1")
    trust.require("runs/x", "sha256:1")
    assert not trust.is_trusted("sha256:2")
    assert len(list((home / "reelgroove" / "trusted_text_encoders").iterdir())) == 1


@pytest.mark.parametrize("hostile", ["../../../escaped", "/etc/passwd", "", "a\0b", "\ud800"])
def test_a_fingerprint_is_no_path(home, hostile):
    trust.trust(hostile)
    assert trust.is_trusted(hostile)
    (kept,) = [path for path in home.rglob("*") if path.is_file()]
    assert kept.parent == home / "reelgroove" / "trusted_text_encoders"


def test_a_home_that_cannot_be_written_is_named(home):
    home.write_text("a file where the folder would be")
    with pytest.raises(UserError, match="XDG_CONFIG_HOME") as error:
        trust.trust("sha256:1")
    assert os.fspath(home) in str(error.value)
