"""New music: its determinism, its joins, its tempo, and what cannot be played."""

import json
import os
import pathlib
import subprocess
import sys
import time

import mido
import note_seq
import numpy as np
import pytest

import configs
from pipelines import representations
from pipelines.media import description, pieces, reading, windows
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import generation
from pipelines.systems.musicvae import model as trained_model
from pipelines.systems.musicvae.run import Run, open_run
from tests.support.jobs import ROOT, error_of, job
from tests.support.pieces import drums, melody

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tiny_run):
    return open_run(str(tiny_run))


def generate(run, mode, output_dir, inputs=(), **options):
    return generation.generate(run, mode, output_dir, inputs, generation.Options(**options))


def midi_file(path, bars, qpm=120.0, **kwargs):
    """One kick and one snare a bar."""
    quarter = 60 / qpm
    hits = [
        (4 * quarter * bar + late * quarter, pitch, 90)
        for bar in range(bars)
        for late, pitch in ((0, 36), (1, 38))
    ]
    pieces.write(drums(hits, qpm=qpm, **kwargs), str(path), draw=False)
    return str(path)


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(pathlib.Path(folder).iterdir())}


def test_same_seed_same_bytes_pictures_too(run, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        paths = generate(
            run,
            "sample",
            str(tmp_path / name),
            num_outputs=3,
            max_batch_size=2,
            seed=seed,
            temperature=1.0,
        )
        assert [pathlib.Path(path).suffix for path in paths] == [".mid"] * 3
    a, b, c = (files(tmp_path / name) for name in "abc")
    assert len(a) == 6 and {name[-4:] for name in a} == {".mid", ".png"}
    assert a == b
    assert sorted(a.values()) != sorted(c.values())
    # The seed is in the names, so that one draw does not replace another.
    assert not set(a) & set(c)


def test_batches_take_no_pieces_away_and_keep_their_order(run, tmp_path, monkeypatch):
    """Seven pieces in batches of three at most: 3, 3 and 1, each from its own latent vector."""
    sizes, given, decoded = [], [], []
    load, decode = trained_model.load, trained_model.decode

    def loaded(run, batch_size, seed, top_p):
        sizes.append(batch_size)
        return load(run, batch_size, seed, top_p)

    def decoding(model, z, *args):
        given.append(z)
        decoded.extend(decode(model, z, *args))
        return np.array(decoded[-len(z) :])

    monkeypatch.setattr(trained_model, "load", loaded)
    monkeypatch.setattr(trained_model, "decode", decoding)
    paths = generate(
        run,
        "sample",
        str(tmp_path),
        num_outputs=7,
        max_batch_size=3,
        temperature=3.0,
        pianoroll=False,
    )
    assert sizes == [3] and [len(z) for z in given] == [3, 3, 1]
    np.testing.assert_array_equal(
        np.concatenate(given), np.random.default_rng(0).standard_normal((7, 4))
    )
    assert paths == sorted(paths) and len(paths) == 7
    for path, tensors in zip(paths, decoded):
        [expected] = run.config.data_converter.from_tensors([tensors])
        found = note_seq.midi_file_to_note_sequence(path)
        # The writer chooses the order of notes that start at one tick.
        first, *others = (
            sorted((round(n.start_time * 440), n.pitch, n.velocity) for n in sequence.notes)
            for sequence in (expected, found)
        )
        assert others == [first] and first


@pytest.mark.parametrize(
    "num_outputs, steps, depth, expected",
    [
        (1, 64, 27, 1),
        (256, 64, 27, 256),
        # Two batches of 150, rather than one of 256 and one of 44 in a graph for 256.
        (300, 64, 27, 150),
        (10_000, 64, 27, 250),
        # 16 pieces of 1,024 steps of 1,024 numbers are 2^24 numbers.
        (1000, 1024, 1024, 16),
        (1000, 1 << 20, 1024, 1),
    ],
)
def test_batches_are_equally_full_and_small_enough(
    run, tmp_path, monkeypatch, num_outputs, steps, depth, expected
):
    class Enough(Exception):
        pass

    def loaded(run, batch_size, seed, top_p):
        raise Enough(batch_size)

    monkeypatch.setattr(trained_model, "load", loaded)
    monkeypatch.setattr(run.config.hparams, "max_seq_len", steps)
    monkeypatch.setattr(run.config.data_converter, "_output_depth", depth)
    with pytest.raises(Enough) as caught:
        generate(run, "sample", str(tmp_path), num_outputs=num_outputs)
    assert caught.value.args == (expected,)


def test_a_run_that_is_killed_leaves_whole_files(tiny_run, tmp_path):
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pipelines.generate", "--nopianoroll", "--temperature=3"),
            *(f"--run_dir={tiny_run}", "--num_outputs=100000", "--max_batch_size=4"),
            f"--output_dir={tmp_path}",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    while not list(tmp_path.glob("*_003-of-*.mid")):
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    left = list(tmp_path.iterdir())
    whole = [path for path in left if path.suffix == ".mid"]
    # At most the file that was being written is left, under a temporary name.
    assert {path.suffix for path in left} <= {".mid", ".tmp"} and len(left) <= len(whole) + 1
    for path in whole:
        note_seq.midi_file_to_note_sequence(str(path))


def test_a_temperature_near_zero_takes_the_likeliest_whatever_the_seed(run, tmp_path):
    model = trained_model.load(run, 2, seed=1)
    other = trained_model.load(run, 2, seed=2)
    z = np.random.default_rng(0).standard_normal((2, 4))
    first, second = (
        trained_model.decode(m, z, 64, trained_model.THRESHOLD_TEMPERATURE) for m in (model, other)
    )
    assert first.shape == (2, 64, 27)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("qpm, expected", [(None, 90.0), (150.0, 150.0)])
def test_tempo_is_the_inputs_or_the_flags(run, tmp_path, qpm, expected):
    [path] = generate(
        run,
        "reconstruct",
        str(tmp_path / "out"),
        qpm=qpm,
        pianoroll=False,
        inputs=(midi_file(tmp_path / "in.mid", 6, 90.0),),
    )
    sequence = note_seq.midi_file_to_note_sequence(path)
    assert sequence.tempos[0].qpm == pytest.approx(expected, abs=1e-3)
    assert not list((tmp_path / "out").glob("*.png"))


@pytest.mark.parametrize("mode, bars", [("sample", 4), ("interpolate", 4), ("reconstruct", 12)])
def test_files_end_at_their_last_bar(run, tmp_path, mode, bars):
    """Ten bars are three windows of four; a loop of four bars is repeated after four bars."""
    path = midi_file(tmp_path / "in.mid", 10, 90.0)
    inputs = {"sample": (), "interpolate": (path, path), "reconstruct": (path,)}[mode]
    out = str(tmp_path / "out")
    for made in generate(run, mode, out, inputs, num_outputs=3, temperature=2.0, pianoroll=False):
        file = mido.MidiFile(made)
        ticks = [sum(message.time for message in track) for track in file.tracks]
        assert ticks == [4 * bars * file.ticks_per_beat] * len(file.tracks)


def test_reconstruct_joins_the_windows_in_their_places(run, tmp_path, monkeypatch):
    """With a decoder that returns what was encoded, the whole piece comes back."""
    path = midi_file(tmp_path / "in.mid", 10, 100.0)
    read = windows.of_piece(run.config, run.name, reading.read_piece(path), path)
    assert len(read.inputs) == 3  # 10 bars: 4, 4 and 2 padded to 4.
    real = trained_model.load

    def perfect(*args):
        model = real(*args)
        model.decode_to_tensors = lambda z, length, temperature: read.inputs
        return model

    monkeypatch.setattr(trained_model, "load", perfect)
    [out] = generate(run, "reconstruct", str(tmp_path / "out"), inputs=(path,), pianoroll=False)
    before, after = (note_seq.midi_file_to_note_sequence(p) for p in (path, out))
    starts = lambda s: sorted((n.start_time, n.pitch, n.velocity) for n in s.notes)  # noqa: E731
    assert len(after.notes) == 20
    for (a, pitch, velocity), (b, *same) in zip(starts(before), starts(after)):
        assert [pitch, velocity] == same
        assert a == pytest.approx(b, abs=0.003)  # A tick is 2.7 ms here.


def test_interpolation_takes_the_first_windows_and_says_so(run, tmp_path, capsys):
    first = midi_file(tmp_path / "a.mid", 9)
    second = midi_file(tmp_path / "b.mid", 4)
    paths = generate(
        run,
        "interpolate",
        str(tmp_path / "out"),
        inputs=(first, second),
        num_outputs=4,
        pianoroll=False,
    )
    assert len(paths) == 4
    said = capsys.readouterr().err
    assert "a.mid: 3 windows; the first is taken" in said and "b.mid:" not in said


def test_identical_ends_give_music(run, tmp_path):
    path = midi_file(tmp_path / "a.mid", 4)
    paths = generate(
        run,
        "interpolate",
        str(tmp_path / "out"),
        inputs=(path, path),
        num_outputs=3,
        temperature=trained_model.THRESHOLD_TEMPERATURE,
        pianoroll=False,
    )
    assert len({pathlib.Path(path).read_bytes() for path in paths}) == 1


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda p: midi_file(p, 4, meter=(3, 4)),
            r"in 3/4; needs 4 quarter notes.*8 notes \(8 drums\)",
        ),
        (lambda p: midi_file(p, 4, is_drum=False), r"no drum notes.*\(0 drums\)"),
        (lambda p: p.write_bytes(b"RIFF" * 10), "in.mid"),
        (lambda p: p.write_bytes(b""), "in.mid"),
    ],
)
def test_input_without_examples_is_explained(run, tmp_path, make, message):
    path = tmp_path / "in.mid"
    make(path)
    with pytest.raises(UserError, match=message):
        generate(run, "reconstruct", str(tmp_path / "out"), inputs=(str(path),))
    assert not (tmp_path / "out").exists()


def test_windows_of_a_stock_converter_do_not_overlap(tmp_path):
    """Magenta's melody converter slides by a bar; 8 bars of 2-bar windows are 4, in place."""
    config = configs.get("cat-mel_2bar_small")
    path = tmp_path / "in.mid"
    pitches = [60, 62, 64, 65] * 8
    pieces.write(melody(pitches, seconds=0.6), str(path), draw=False)
    read = windows.of_piece(config, "cat-mel_2bar_small", reading.read_piece(path), "in.mid")
    assert len(read.inputs) == 4
    assert read.starts == pytest.approx([0.0, 4.8, 9.6, 14.4], abs=1e-6)
    decoded = [
        pieces.at_tempo(sequence, read.qpm)
        for sequence in config.data_converter.from_tensors(read.inputs)
    ]
    representation = representations.of(config.data_converter)
    joined = pieces.join(decoded, read.starts, representation.window_seconds(32, read.qpm))
    assert [note.pitch for note in joined.notes] == pitches
    for i, note in enumerate(joined.notes):
        assert note.start_time == pytest.approx(0.6 * i, abs=1e-3)
    assert joined.total_time == pytest.approx(19.2, abs=1e-3)


@pytest.fixture
def empty(monkeypatch):
    """Has every other latent vector decoded to silence; lists the latent vectors."""
    drawn = []
    decode = trained_model.decode

    def decoding(model, z, *args):
        tensors = decode(model, z, *args)
        for row, each in enumerate(z):
            tensors[row] = 0
            if len(drawn) % 2:
                tensors[row, 0, 0] = 1  # A kick at the first step.
            drawn.append(each)
        return tensors

    monkeypatch.setattr(trained_model, "decode", decoding)
    return drawn


def test_a_piece_without_a_note_is_told(run, tmp_path, empty, capsys):
    paths = generate(run, "sample", str(tmp_path), num_outputs=5, pianoroll=False)
    assert len(paths) == 5
    said = capsys.readouterr().err
    assert "000-of-005.mid and 2 more: no note in it; --skip_empty draws others" in said


def test_the_next_latent_vectors_are_tried_for_empty_pieces(run, tmp_path, empty, capsys):
    paths = generate(
        run, "sample", str(tmp_path), num_outputs=5, seed=3, skip_empty=True, pianoroll=False
    )
    assert [path[-14:] for path in paths] == [f"{i:03d}-of-005.mid" for i in range(5)]
    assert all(mido.MidiFile(path).tracks[-1][2].type == "note_on" for path in paths)
    # Five, and then five more; nothing is decoded twice or in vain but the rest of a batch.
    np.testing.assert_array_equal(
        np.array(empty), np.random.default_rng(3).standard_normal((10, 4))
    )
    said = capsys.readouterr().err
    assert "5 pieces without a note were passed over" in said and "warning" not in said


def test_a_model_that_plays_nothing_does_not_run_for_ever(run, tmp_path, monkeypatch):
    monkeypatch.setattr(trained_model, "decode", lambda model, z, *args: np.zeros((len(z), 64, 27)))
    with pytest.raises(UserError, match="0 of 2 pieces have notes, and then 500 in a row had none"):
        generate(run, "sample", str(tmp_path), num_outputs=2, skip_empty=True, pianoroll=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["tune.abc", "score.musicxml", "tune.mid"])
def test_any_notation_is_taken(tmp_path, name):
    """Two bars of eight notes, in three notations: the same events for the same config."""
    config = configs.get("cat-mel_2bar_small")
    path = tmp_path / name
    if name.endswith("abc"):
        path.write_text("X:1\nT:Eight\nM:4/4\nL:1/4\nQ:1/4=100\nK:C\nCDEF|GABc|\n")
    elif name.endswith("xml"):
        path.write_bytes(score("CDEF", "GABC"))
    else:
        pieces.write(melody([60, 62, 64, 65, 67, 69, 71, 72], 0.6), str(path), draw=False)
    read = windows.of_piece(config, "x", reading.read_piece(path), name)
    [events] = [np.argmax(tensor, axis=1) for tensor in read.inputs]
    # Magenta's melodies begin at pitch 21, after two special events.
    assert [event + 19 for event in events if event > 1] == [60, 62, 64, 65, 67, 69, 71, 72]
    assert read.qpm == pytest.approx(100)


def score(*bars):
    """A score in MusicXML of quarter notes, at 100 a minute; the last C is an octave higher."""
    measures = ""
    for bar in bars:
        notes = "".join(
            f"<note><pitch><step>{step}</step><octave>{5 if bar[:1] + step == 'GC' else 4}</octave>"
            "</pitch><duration>1</duration><voice>1</voice></note>"
            for step in bar
        )
        begin = (
            ""
            if measures
            else (
                "<attributes><divisions>1</divisions><time><beats>4</beats><beat-type>4</beat-type>"
                '</time></attributes><direction><sound tempo="100"/></direction>'
            )
        )
        measures += f"<measure>{begin}{notes}</measure>"
    return f'<score-partwise><part id="P1">{measures}</part></score-partwise>'.encode()


def test_other_music_is_not_overwritten(run, tmp_path):
    def sample(**kwargs):
        generate(run, "sample", str(tmp_path), num_outputs=1, seed=1, pianoroll=False, **kwargs)

    sample(temperature=1.0)
    before = files(tmp_path)
    sample(temperature=1.0)
    with pytest.raises(UserError, match="holds other music"):
        sample(temperature=3.0)
    assert files(tmp_path) == before
    sample(temperature=3.0, overwrite=True)
    assert set(files(tmp_path)) == set(before) and files(tmp_path) != before


def test_drums_are_no_tunes_to_keep(run, tmp_path):
    with pytest.raises(UserError, match="this model plays drums"):
        generate(run, "sample", str(tmp_path), num_outputs=1, seed=1, temperature=1.0, keep={})


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--mode=sample", "--input_midi=x.mid"], "--input_midi does not go with --mode=sample"),
        (["--mode=sample", "--input=x.mid"], "--input does not go with --mode=sample"),
        (["--mode=reconstruct"], "--mode=reconstruct needs --input=FILE (MIDI, ABC or MusicXML)"),
        (["--mode=reconstruct", "--input=x.mid", "--input=y.mid"], "needs --input=FILE (MIDI"),
        (["--mode=interpolate", "--input_midi_1=x.mid"], "needs --input=FILE twice"),
        (["--mode=reconstruct", "--input=x.abc", "--input_midi=x.mid"], "say the same; give one"),
        (["--mode=reconstruct", "--input_midi=absent.mid"], "absent.mid"),
        (["--mode=reconstruct", "--input=absent.abc"], "absent.abc"),
        (["--mode=reconstruct", "--skip_empty", "--input=x.mid"], "--skip_empty does not go"),
        (["--mode=sample", "--qpm=nan"], "qpm"),
        (["--mode=sample", "--amount=1"], "--amount goes with --mode=edit alone, not sample"),
        (["--mode=sample", "--direction=means"], "--direction goes with --mode=edit alone"),
        (["--mode=edit", "--attribute=swing", "--amount=1"], "needs --input=FILE (MIDI"),
        (["--mode=edit", "--input=x.mid"], "--mode=edit needs --attribute"),
        (["--mode=average", "--input=x.mid"], "needs --input=FILE twice or more often"),
        (["--mode=grid", *["--input=x.mid"] * 3], "needs --input=FILE four times, one for each"),
        (["--mode=grid", "--input_midi=x.mid"], "--input_midi does not go with --mode=grid"),
        (["--mode=sample", "--temperature=inf"], "--temperature=inf"),
        (["--mode=sample", "--keep=rhythm"], "--keep=rhythm: --mode=sample takes judge"),
        (["--mode=sample", "--keep=judge:melodie>=3"], "did you mean melody"),
        (
            ["--mode=edit", "--input=x.mid", "--attribute=swing", "--amount=1", "--keep=judge"],
            "--keep",
        ),
    ],
)
def test_bad_command_lines_end_in_one_line(flags, message, tiny_run, tmp_path):
    done = job("generate", f"--run_dir={tiny_run}", f"--output_dir={tmp_path}/out", *flags)
    assert message in error_of(done)


def test_the_job_prints_json(tiny_run, tmp_path):
    arguments = [f"--run_dir={tiny_run}", f"--output_dir={tmp_path}/out", "--num_outputs=2"]
    done = job("generate", *arguments, "--seed=3", "--json", "--nopianoroll")
    printed = json.loads(done.stdout)
    assert (printed["mode"], printed["seed"]) == ("sample", 3)
    assert sorted(printed["files"]) == sorted(map(str, (tmp_path / "out").glob("*.mid")))
    assert len(printed["files"]) == 2


def test_the_job(tiny_run, tmp_path):
    done = job(
        "generate",
        f"--run_dir={tiny_run}",
        f"--output_dir={tmp_path}/out",
        "--num_outputs=1",
        "--seed=3",
    )
    assert done.returncode == 0, done.stderr
    [path] = done.stdout.split()
    assert path.endswith("flat-groove_4bar_sample_seed3_000-of-001.mid")
    assert note_seq.midi_file_to_note_sequence(path).tempos[0].qpm == 120.0


@pytest.mark.parametrize("folder, name", [("train", "flat"), ("best", "flat"), ("", "flat")])
def test_a_model_is_called_by_its_run(folder, name):
    prefix = os.path.join("/runs/flat", folder, "model.ckpt-20")
    found = generation._model_settings(Run("flat-groove_4bar", None, prefix, 20, {}))
    assert found == {"model": name, "config": "flat-groove_4bar", "step": 20}


def test_the_command_makes_a_page_that_knows_its_pieces(tiny_run, tmp_path):
    beat = midi_file(tmp_path / "beat.mid", bars=2)
    arguments = (f"--run_dir={tiny_run}", "--mode=interpolate", "--seed=7", "--nopianoroll")
    inputs = (f"--input={beat}", f"--input={beat}", "--num_outputs=3")
    done = job("generate", *arguments, *inputs, f"--output_dir={tmp_path / 'music'}")
    assert done.returncode == 0, done.stderr
    assert f"to listen: {tmp_path}/music/index.html\n" in done.stderr
    known = description.read(tmp_path / "music")
    assert [os.path.basename(path) for path in done.stdout.splitlines()] == list(known)
    assert [each.position for each in known.values()] == [(0,), (1,), (2,)]
    [first, *_] = known.values()
    assert first.settings["seed"] == 7 and first.sources == ("beat.mid",) * 2
    page = (tmp_path / "music" / "index.html").read_text()
    assert "From beat.mid to beat.mid" in page

    # A page of the user's own stays; the music is written all the same.
    (tmp_path / "music" / "index.html").write_text("mine")
    done = job("generate", *arguments, *inputs, f"--output_dir={tmp_path / 'music'}", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["page"] is None
    assert "warning: no page: " in done.stderr
    assert (tmp_path / "music" / "index.html").read_text() == "mine"
