"""Which sounds batches are drawn of."""

import pytest
import soundfile

from pipelines.runtime.app import UserError
from pipelines.systems.style.sounds import sound_folders
from pipelines.systems.style.training import batches
from tests.support.sounds import tone


def put(root, **sounds):
    for name, samples in sounds.items():
        path = root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, 16_000)


def read(folder, frames=24):
    return batches.read(folder, sound_folders.sounds(folder), frames, 1, "sounds of the source")


def test_sounds_of_one_name_in_two_folders_are_both_read(tmp_path):
    put(tmp_path, train__live__a_wav=tone(440), train__studio__a_wav=tone(330, seconds=0.5))
    found = read(tmp_path)
    assert {name: mels.shape for name, mels in found.items()} == {
        "live/a": (81, 192),
        "studio/a": (41, 192),
    }


def test_two_files_of_one_name_are_refused(tmp_path):
    put(tmp_path, a_wav=tone(440), a_flac=tone(330))
    with pytest.raises(UserError, match=r"a\.flac and a\.wav have one name, a;"):
        read(tmp_path)


def test_each_reason_is_counted_by_itself(tmp_path, capsys):
    put(tmp_path, a_wav=tone(440), b_wav=tone(440)[:100], c_wav=0 * tone(440), d_wav=0 * tone(440))
    (tmp_path / "e.wav").write_text("no sound")
    assert list(read(tmp_path)) == ["a"]
    said = capsys.readouterr().err
    assert "sounds of the source: 1 of 5 cannot be read and are left out" in said
    assert "sounds of the source: 3 of 5 are left out (1 shorter than 0.3 s, 2 silent)" in said


def test_nothing_to_learn_from(tmp_path):
    put(tmp_path, b_wav=tone(440)[:100], c_wav=0 * tone(440))
    with pytest.raises(UserError, match=r"\(1 shorter than 0\.3 s, 1 silent\); give longer ones"):
        read(tmp_path)
