import io
import zipfile

import numpy as np
import pytest

from pipelines.judge import learnt
from pipelines.judge.learnt import Learnt, Scale
from pipelines.runtime.app import UserError

SCALE = Scale(np.array([0.0, 1.0, 1.0, 3.0]), 0.25)


@pytest.mark.parametrize(
    ("measure", "score", "fails"),
    [(-1, 1, True), (0, 2, True), (0.5, 2, True), (1, 4, False), (2.9, 4, False), (3, 5, False)],
)
def test_a_score_says_what_share_of_people_is_no_better(measure, score, fails):
    assert SCALE.score(measure) == score
    assert SCALE.fails(measure) is fails


def test_a_criterion_that_grades_rejects_nothing():
    assert not SCALE._replace(rejects=0.0).fails(-99.0)


def test_a_folder_gives_back_what_was_learnt(tmp_path):
    arrays = {"words": np.array(["a", "é"]), "numbers": np.arange(3, dtype=np.float16)}
    given = Learnt({"melody": arrays}, {"melody": SCALE}, {"tunes": {"train": 2}})
    learnt.write(tmp_path, given)
    content = (tmp_path / "melody.npz").read_bytes()
    found = learnt.read(tmp_path, ["melody"])
    assert found.about == {"tunes": {"train": 2}}
    assert found.scales["melody"].rejects == 0.25
    assert found.scales["melody"].measures.tolist() == [0, 1, 1, 3]
    for name, array in arrays.items():
        assert np.array_equal(found.arrays["melody"][name], array)
    # The same again, byte by byte.
    learnt.write(tmp_path, given)
    assert (tmp_path / "melody.npz").read_bytes() == content


def test_folders_of_no_judge_are_told(tmp_path):
    with pytest.raises(UserError, match=r"no judge.json in it; ./run.sh judge learn"):
        learnt.read(tmp_path, ["melody"])
    learnt.write(tmp_path, Learnt({"melody": {"a": np.zeros(2)}}, {"melody": SCALE}, {}))
    with pytest.raises(UserError, match="damaged"):
        learnt.read(tmp_path, ["form"])
    (tmp_path / "melody.npz").write_bytes(b"PK no archive")
    with pytest.raises(UserError, match="damaged"):
        learnt.read(tmp_path, ["melody"])


def test_arrays_of_objects_are_neither_written_nor_read(tmp_path):
    objects = np.array([{}, []], dtype=object)
    with pytest.raises(ValueError, match="allow_pickle"):
        learnt.write(tmp_path, Learnt({"melody": {"a": objects}}, {"melody": SCALE}, {}))
    learnt.write(tmp_path, Learnt({"melody": {"a": np.zeros(2)}}, {"melody": SCALE}, {}))
    np.savez_compressed(tmp_path / "melody.npz", a=objects)
    with pytest.raises(UserError, match="damaged"):
        learnt.read(tmp_path, ["melody"])


def nested(levels):
    return "[" * levels


@pytest.mark.parametrize(
    "content",
    [
        nested(100_000),
        "[]",
        '{"version": 1}',
        '{"version": 1, "about": {}, "scales": {"melody": {"rejects": 0, "measures": []}}}',
        '{"version": 1, "about": {}, "scales": {"melody": {"rejects": 0, "measures": [NaN]}}}',
        '{"version": 1, "about": {}, "scales": {"melody": {"rejects": 0, "measures": [2, 1]}}}',
        '{"version": 1, "about": {}, "scales": {"melody": {"rejects": 0, "measures": [[1]]}}}',
        '{"version": 1, "about": {}, "scales": {"melody": {"rejects": 2, "measures": [1]}}}',
        '{"version": 1, "about": {}, "scales": {"melody": {"rejects": 0, "measures": ["x"]}}}',
    ],
)
def test_a_damaged_account_is_told(tmp_path, content):
    learnt.write(tmp_path, Learnt({"melody": {"a": np.zeros(2)}}, {"melody": SCALE}, {}))
    (tmp_path / "judge.json").write_text(content)
    with pytest.raises(UserError, match="damaged"):
        learnt.read(tmp_path, ["melody"])


def test_arrays_that_say_to_be_huge_are_not_read(tmp_path, monkeypatch):
    learnt.write(tmp_path, Learnt({"melody": {"a": np.zeros(2)}}, {"melody": SCALE}, {}))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)}
    )
    with zipfile.ZipFile(tmp_path / "melody.npz", "w") as archive:
        archive.writestr("a.npy", header.getvalue())
    with pytest.raises(UserError, match="damaged"):
        learnt.read(tmp_path, ["melody"])
    np.savez_compressed(tmp_path / "melody.npz", a=np.zeros(100_000))
    monkeypatch.setattr(learnt, "_MAX_BYTES", 100_000)
    with pytest.raises(UserError, match="more than 0 MB"):
        learnt.read(tmp_path, ["melody"])
