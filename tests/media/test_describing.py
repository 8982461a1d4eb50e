"""What `generate` says of its pieces."""

import json
import pathlib

from pipelines.media import describing, description
from pipelines.media.page import folder
from tests.support.pieces import drums

SETTINGS = {"seed": 7}


def written(place, mode, names, given=(), amounts=(), settings=SETTINGS):
    paths = [str(place / name) for name in names]
    for path in paths:
        pathlib.Path(path).touch()
    describing.write(str(place), mode, settings, given, paths, amounts)
    return description.read(place)


def test_pieces_of_a_command_are_a_series_in_their_order(tmp_path):
    first = written(tmp_path, "sample", ["b.mid", "a.mid"])
    assert [each.position for each in first.values()] == [(0,), (1,)]
    assert first["a.mid"].series == first["b.mid"].series != ""
    assert first["a.mid"].settings == SETTINGS
    both = written(tmp_path, "sample", ["c.mid"], settings={"seed": 8})
    assert both["c.mid"].series != both["a.mid"].series


def test_a_grid_is_placed_row_by_row(tmp_path):
    found = written(tmp_path, "grid", ["0.mid", "1.mid", "2.mid", "3.mid"])
    assert [each.position for each in found.values()] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_inputs_are_kept_as_midi_under_names_of_their_own(tmp_path):
    one, other = drums([(0, 36, 100)]), drums([(0, 38, 100)])
    given = [("/far/away/beat.abc", one), ("/elsewhere/beat.mid", other)]
    piece = written(tmp_path, "interpolate", ["a.mid"], given)["a.mid"]
    # Nothing tells the folders of the machine.
    assert piece.sources == ("beat.abc", "beat.mid")
    assert "/far" not in (tmp_path / "pieces.json").read_text()
    assert len(set(piece.inputs)) == 2
    kept = [folder.read_input(str(tmp_path), name) for name in piece.inputs]
    assert [[note.pitch for note in each.sequence.notes] for each in kept] == [[36], [38]]


def test_the_sound_of_inputs_lies_beside_them(tmp_path):
    played = []
    describing.write(
        str(tmp_path),
        *("reconstruct", SETTINGS, [("beat.mid", drums([(0, 36, 100)]))], []),
        play=lambda sequence, path: played.append((sequence.notes[0].pitch, path)),
    )
    [kept] = (tmp_path / "inputs").glob("beat-*.mid")
    assert played == [(36, str(kept))]


def test_the_same_command_says_the_same(tmp_path):
    given = [("x.mid", drums([(0, 36, 100)]))]
    texts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        written(tmp_path / name, "edit", ["a.mid"], given, [{"swing": 1.0}])
        texts.append((tmp_path / name / "pieces.json").read_text())
    assert texts[0] == texts[1]
    assert json.loads(texts[0])["pieces"][0]["amounts"] == {"swing": 1.0}


def test_an_input_outside_the_folder_is_not_read(tmp_path):
    (tmp_path / "secret.mid").write_bytes(b"MThd")
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "link.mid").symlink_to(tmp_path / "secret.mid")
    for name in ("../secret.mid", str(tmp_path / "secret.mid"), "link.mid", "none.mid", "."):
        assert folder.read_input(str(tmp_path / "music"), name) is None
