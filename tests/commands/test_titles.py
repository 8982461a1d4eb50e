"""`titles train|evaluate|match|search` as whole commands: output, exit status, errors."""

import json
import os
import re
import shutil

import pytest

from pipelines.music import midi_writer
from tests.support import titled
from tests.support.datasets import write
from tests.support.jobs import error_of
from tests.support.titled import LADDIE, SCALE, command, randomly, sequence, tune

pytestmark = [pytest.mark.keras3, pytest.mark.slow]

KINDS = "Grey White Wise Barn Tawny Brown Snowy Great Little Hunting".split()


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    return titled.make(tmp_path_factory.getbasetemp())


def test_help_and_names():
    done = command()
    assert done.returncode == 0 and not done.stderr
    for name in ("train", "evaluate", "match", "search"):
        assert f"titles {name}" in done.stdout
    assert command("--help").stdout == command("help").stdout == done.stdout
    done = command("mtach", "x.abc")
    # As `./run.sh mtach`: there is no such command.
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    why = (
        "titles has no command 'mtach'; it has train, evaluate, match, search; did you mean match?"
    )
    assert done.stderr.startswith(f"error: {why}")


@pytest.mark.parametrize(
    "name, flag",
    [("train", "validation_path"), ("evaluate", "json"), ("match", "taken"), ("search", "top_k")],
)
def test_help_of_a_command(name, flag):
    done = command(name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"./run.sh titles {name}" in done.stdout and flag in done.stdout
    assert not done.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["match", "x.abc"], "missing --run_dir"),
        (["match", "--run_dir=x"], "name the tunes"),
        (["match", "x.abc", "--run_dir=x", "--top_k=0"], "top_k"),
        (["search", "--run_dir=x"], "say what to search for"),
        (["search", "--run_dir=x", "-lively"], "lively"),
        (["train", "--run_dir=x"], "missing --examples_path"),
        (["train", "--run_dir=x", "--examples_path=y", "--batch_size=1"], "batch_size=1"),
        (["train", "--run_dir=x", "--examples_path=y", "--learning_rate=nan"], "learning_rate=nan"),
        (["train", "--run_dir=x", "--examples_path=y", "--loss=l2"], "loss=l2"),
        (["train", "--run_dir=x", "--examples_path=y", "--text_encoder=bultin"],
         "there are builtin and minilm, and handles of TF-Hub; did you mean builtin?"),
        (["evaluate", "stray", "--run_dir=x", "--examples_path=y"], "'stray' is not a flag"),
    ],
)  # fmt: skip
def test_bad_command_lines(arguments, message, tmp_path):
    done = command(*arguments, cwd=tmp_path)
    assert message in error_of(done)
    assert len(done.stderr.splitlines()) == 1 and not os.listdir(tmp_path)


def matches(stdout):
    """{tune: [(rank, score, status, title)]} of the output of `match`."""
    found, rows = {}, None
    for line in stdout.splitlines():
        if line.startswith("# "):
            assert line[2:] not in found
            rows = found[line[2:]] = []
        else:
            rank, score, status, title = line.split("\t")
            assert int(rank) == len(rows) + 1 and re.fullmatch(r"-?\d+\.\d{3}", score)
            assert status in ("exists", "new") and title
            rows.append((int(rank), float(score), status, title))
    return found


def test_matching_several_files(made, tmp_path):
    book = tmp_path / "book.abc"
    book.write_text(
        tune(1, "Ó Néill's 🎻") + tune(1) + tune(2, "Short", notes="G8|") + tune(3, "x" * 10_000)
    )
    (tmp_path / "chords.mid").write_bytes(
        midi_writer.note_sequence_to_midi(sequence(pitches=randomly(1)))
    )
    drums = sequence(is_drum=True)
    for note in drums.notes:
        note.instrument = 9
    (tmp_path / "drums.mid").write_bytes(midi_writer.note_sequence_to_midi(drums))
    (tmp_path / "list.txt").write_bytes(
        f"Maids Fancy\r\nThe Goose\r\n\r\n{'x' * 10_000}\r\nÓ Gander 🎻\r\n".encode()
    )
    (tmp_path / "taken.txt").write_text("Goose, The")
    arguments = ["match", "book.abc", f"--run_dir={made.run}", "chords.mid", "--titles=list.txt",
                 "--top_k=2", "drums.mid", "--taken=taken.txt"]  # fmt: skip
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = matches(done.stdout)
    assert [name[:18] for name in found] == [
        "book.abc/1 Ó Néill", "book.abc/1:8", "book.abc/3 xxxxxxx", "chords.mid",
    ]  # fmt: skip
    for rows in found.values():
        assert len(rows) == 2 and rows[0][1] >= rows[1][1]
        for _, _, status, title in rows:
            assert status == ("new" if title == "Ó Gander 🎻" else "exists")
    assert done.stderr.count("as likely as any other reel's title") == 1
    assert "book.abc/2 Short: left out: too few notes" in done.stderr
    assert "drums.mid: left out: too few notes" in done.stderr
    # A file that cannot be read is reported, stops no other, and makes the status a failure.
    again = command(*arguments, "none.mid", "--exclude_existing", "list.txt", cwd=tmp_path)
    assert again.returncode == 1 and "Traceback" not in again.stderr
    only = matches(again.stdout)
    assert list(only) == list(found)
    assert all([row[3] for row in rows] == ["Ó Gander 🎻"] for rows in only.values())
    assert "left out: none.mid: No such file" in again.stderr
    assert "left out: list.txt has no tune in it" in again.stderr
    assert again.stderr.splitlines()[-1].startswith("error: 2 of 5 files could not be read")


def test_nothing_to_match(made, tmp_path):
    (tmp_path / "drums.mid").write_bytes(
        midi_writer.note_sequence_to_midi(sequence(pitches=SCALE[:3]))
    )
    run = f"--run_dir={made.run}"
    assert "no tune with a melody" in error_of(command("match", run, tmp_path / "drums.mid"))
    many = [tmp_path / f"{name}.mid" for name in ("drums", "b", "c")]
    for path in many[1:]:
        shutil.copy(many[0], path)
    found = error_of(command("match", run, *many))
    assert found.startswith(f"error: {many[0]} and 2 more: no tune with a melody; the lines above")


def test_searching(made):
    run = f"--run_dir={made.run}"
    done = command("search", "--top_k=1000", run, "--", "-a sad", "waltz")
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert {len(row) for row in rows} == {7}
    assert [int(row[0]) for row in rows] == list(range(1, 45))
    scores = [float(row[1]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    by_id = {row[2]: row[3:] for row in rows}
    assert len(by_id) == 44
    assert by_id["titled.abc/50"] == [LADDIE, "-", "4/4", "major"]
    assert by_id["titled.abc/53"] == [titled.IRISH, "-", "4/4", "dorian"]
    assert by_id["titled.abc/1"] == ["The Piper's Hat", "jig", "6/8", "major"]


def test_json_says_what_the_lines_say(made, tmp_path):
    run = f"--run_dir={made.run}"
    lines = command("search", "--top_k=3", run, "a sad waltz").stdout.splitlines()
    found = json.loads(command("search", "--top_k=3", run, "a sad waltz", "--json").stdout)
    assert [row.split("\t")[:3] for row in lines] == [
        [str(each["rank"]), f"{each['score']:.3f}", each["id"]] for each in found["tunes"]
    ]
    assert all(isinstance(each["titles"], list) for each in found["tunes"])
    (tmp_path / "book.abc").write_text(tune(1, "One") + tune(2, "Two"))
    arguments = ["match", f"{tmp_path}/book.abc", run, "--top_k=2"]
    tunes = json.loads(command(*arguments, "--json").stdout)["tunes"]
    assert matches(command(*arguments).stdout) == {
        each["id"]: [
            (row["rank"], round(row["score"], 3), row["status"], row["title"])
            for row in each["titles"]
        ]
        for each in tunes
    }


@pytest.mark.parametrize("name", ["run.json", "checkpoint"])
def test_a_run_of_music_stays_as_it_is(made, tmp_path, name):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / name).write_text('{"config": "x", "hparams": {}}')
    arguments = [f"--examples_path={made.examples}", "--text_encoder=builtin"]
    done = command("train", *arguments, f"--run_dir={tmp_path}")
    why = {
        "run.json": f"{tmp_path}/train is a run of musicvae, not of titles",
        "checkpoint": f"{tmp_path} has checkpoints but no run.json",
    }
    assert why[name] in error_of(done)
    assert os.listdir(tmp_path) == ["train"] and os.listdir(tmp_path / "train") == [name]


def test_a_run_from_its_begin_to_its_measures(made, tmp_path):
    run = tmp_path / "run"
    arguments = ["train", f"--run_dir={run}", f"--examples_path={made.examples}", "--loss=hinge",
                 "--text_encoder=builtin", "--num_epochs=2", "--batch_size=2"]  # fmt: skip
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{run}\n" and "nan" not in done.stderr.lower().split()
    # The tune of a single note is a record too.
    assert "50 records: 44 tunes with a title, 1 with a title that is too long" in done.stderr
    assert json.loads((run / "run.json").read_text())["finished"]
    moved = tmp_path / "elsewhere" / "moved"
    shutil.move(run, moved)
    held_out = write(
        tmp_path / "test.tfrecord",
        [
            *(sequence(f"The {kind} Owl", name=kind, pitches=randomly(kind)) for kind in KINDS),
            # A tune whose title was trained on, one without a title, one without a melody.
            sequence("The Piper's Hat", pitches=randomly(90)),
            sequence("🎻", pitches=randomly(91)),
            sequence("The Note", pitches=[60]),
        ],
    )
    done = command("evaluate", f"--run_dir={moved}", f"--examples_path={held_out}", "--json")
    assert done.returncode == 0, done.stderr
    assert "NaN" not in done.stdout
    result = json.loads(done.stdout)
    (kept,) = (moved / "eval").glob("test-*.json")
    assert json.loads(kept.read_text()) == result
    for direction in ("tune_to_title", "title_to_tune"):
        measured = result["sections"]["titles_as_they_are"][direction]
        # The towers, and at least four baselines.
        assert measured["queries"] == len(KINDS) and len(measured["scorers"]) >= 5
        for values in measured["scorers"].values():
            assert 0 < values["MRR"]["value"] <= 1
