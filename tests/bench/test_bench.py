"""How benchmarks measure and compare."""

import ast
import itertools
import json
import pathlib
import sys
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import configs
from configs import ConfigRef
from pipelines.bench import Benchmark, Comparison, _compare, _magenta, _model_plan, benchmarks
from pipelines.bench import __main__ as bench_command
from pipelines.bench import train as bench_train
from pipelines.demo import grooves
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import losses
from pipelines.systems.musicvae.run import Run
from tests.support.jobs import job

SIDE = pathlib.Path(_magenta.__file__).parent / "side"


def bench(*arguments, **kwargs):
    return job("bench", *arguments, **kwargs)


@pytest.fixture
def side(monkeypatch):
    """The modules of the programs that run the sides, as they import each other."""
    monkeypatch.syspath_prepend(str(SIDE))
    import figures
    import training_steps

    return types.SimpleNamespace(figures=figures, training_steps=training_steps)


def test_memory_and_time_of_a_command_and_its_children(tmp_path):
    child = "data = b'x' * 120_000_000; import time; time.sleep(0.7)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    measured = _compare.measure([sys.executable, "-c", parent], str(tmp_path / "log"))
    assert 120e6 / 2**20 < measured["peak MiB"] < 120e6 / 2**20 + 100
    assert 0.7 <= measured["seconds"] < 60


@pytest.mark.parametrize(
    "given, read",
    [
        (["--json"], ["--json=-"]),
        (["--json", "--repeats=1"], ["--json=-", "--repeats=1"]),
        (["--json", "file"], ["--json", "file"]),
        (["--json=file", "--repeats", "1"], ["--json=file", "--repeats", "1"]),
        (["--json", "-"], ["--json", "-"]),
        ([], []),
    ],
)
def test_json_without_a_file_goes_to_stdout(given, read):
    assert bench_command._with_file(given) == read


def test_the_list_of_benchmarks_as_json():
    listed = json.loads(bench("--json").stdout)["benchmarks"]
    assert [each["name"] for each in listed] == list(benchmarks())
    assert bench().stdout.split("\n")[0].endswith(listed[0]["summary"])


def test_a_command_that_fails_is_an_error(tmp_path):
    log = str(tmp_path / "log")
    with pytest.raises(UserError, match="ended with 3; it said: why"):
        _compare.measure([sys.executable, "-c", "print('why'); raise SystemExit(3)"], log)
    assert (tmp_path / "log").read_text() == "why\n"


def test_a_number_that_is_given_twice_is_measured_once(monkeypatch):
    given = types.SimpleNamespace(value=["8", "32", " 8", "08"])
    monkeypatch.setattr(_compare.flags, "FLAGS", {"batch_sizes": given})
    assert _compare.numbers("batch_sizes", "8,32") == [8, 32]


def test_sides_take_turns_and_medians_are_compared():
    turns = []

    def side(name, case, values):
        def run(number):
            turns.append((number, case, name))
            return {"steps/s": values[number], "loss": 0.0}

        return run

    small = {"ours": [3.0, 1.0, 2.0], "also ours": [9.0] * 3, "theirs": [9.0, 8.0, 50.0]}
    large = {"ours": [1.0] * 3, "also ours": [2.0] * 3, "theirs": [4.0] * 3}
    cases = {"small": small, "large": large}
    benchmark = Benchmark(
        "made",
        "Made up.",
        lambda: None,
        (),
        lambda scratch: Comparison(
            {
                case: {name: side(name, case, values) for name, values in sides.items()}
                for case, sides in cases.items()
            },
            {"theirs": "Theirs 1.0"},
        ),
        {"steps/s": "more"},
    )
    saved = []
    report = _compare.compare(benchmark, 3, None, lambda report: saved.append(json.dumps(report)))
    assert turns == list(itertools.product(range(3), cases, small))
    # The report is saved after each run, and is complete at the end.
    assert len(saved) == 3 * 2 * 3
    assert json.loads(saved[-1]) == report
    assert json.loads(saved[0])["cases"]["small"] == {
        "ours": [{"steps/s": 3.0, "loss": 0.0}],
        "also ours": [],
        "theirs": [],
    }
    assert [run["steps/s"] for run in report["cases"]["small"]["theirs"]] == [9.0, 8.0, 50.0]
    lines = _compare.table(report).splitlines()
    assert lines[1] == "theirs: Theirs 1.0"
    at = lines.index("**small**")
    assert lines[at + 2] == (
        "| median of 3 | ours | also ours | theirs | ours / theirs | also ours / theirs | better |"
    )
    # Medians 2, 9 and 9: 2 / 9 and 9 / 9. The last row has no ratio, since it would divide by 0.
    assert lines[at + 4] == "| steps/s | 2 | 9 | 9 | 0.222 | 1.000 | more |"
    assert lines[at + 5] == "| loss | 0 | 0 | 0 |  |  |  |"
    at = lines.index("**large**")
    assert lines[at + 4] == "| steps/s | 1 | 2 | 4 | 0.250 | 0.500 | more |"


def test_the_rate_is_the_median_over_stretches(side):
    # Ten events in five stretches of two. They last 2, 4, 8, 1 and 2 seconds: the median of
    # 1, 0.5, 0.25, 2 and 1 events a second is 1, where 10 / 17 would be the mean.
    assert side.figures.median_rate([5, 6, 7, 9, 11, 15, 19, 19.5, 20, 21, 22]) == 1.0
    # Two events, two stretches: the mean of 1 and 1/3.
    assert side.figures.median_rate([0, 1, 4]) == pytest.approx(2 / 3)


def test_memory_is_what_the_kernel_counts(side):
    before = side.figures.memory()
    data = b"x" * 50_000_000
    held, peak = side.figures.memory()
    # 50 MB are 47.7 MiB; the kernel's counts of a process with threads are off by a little.
    assert held - before[0] > 45 and peak > held - 2
    del data
    after = side.figures.memory()
    assert after[0] < held - 45 and after[1] > held - 2


@pytest.mark.parametrize("path", sorted(SIDE.glob("*.py")), ids=lambda path: path.name)
def test_the_sides_are_programs_of_python_3_8(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))


def test_models_can_be_built_elsewhere_of_magentas_classes(side):
    def same(made, part):
        """Whether both are built alike from Magenta's classes."""
        if isinstance(made, list | tuple):
            return len(made) == len(part) and all(map(same, made, part))
        if not type(made).__module__.startswith("magenta."):
            return made == part
        return isinstance(part, type(made)) and all(
            same(value, getattr(part, name)) for name, value in vars(made).items()
        )

    classes = set()
    for name, build in configs.builders().items():
        model = build().model
        for part in (model.encoder, model.decoder):
            plan = _model_plan.plan(part)
            made = side.training_steps._build(json.loads(json.dumps(plan)))
            assert type(made).__module__.startswith("magenta.") and same(made, part), name
            classes.add(type(made).__name__)
    assert {"HierarchicalLstmDecoder", "HierarchicalLstmEncoder", "GrooveLstmDecoder"} <= classes


def test_a_model_that_is_not_magentas_cannot_be_built_elsewhere():
    class Own(_model_plan.base_model.BaseEncoder):
        output_depth = 1

        def build(self, hparams, is_training=True):
            """Does nothing."""

        def encode(self, sequence, sequence_length):
            """Does nothing."""

    with pytest.raises(UserError, match="Own is made of none of Magenta's"):
        _model_plan.plan(Own())


@pytest.mark.parametrize(
    "name", ["hierdec-groove_4bar", "flat-reel_2bar", "hier-multiperf_vel_1bar_med_chords"]
)
def test_batches_reach_the_sides_as_they_are(name, side, tmp_path):
    config = ConfigRef(name, hparams="batch_size=3").build()
    converter, steps = config.data_converter, config.hparams.max_seq_len
    made = bench_train._random(config)
    assert made["outputs"].shape == (4, 3, steps, converter.output_depth)
    assert made["controls"].shape == (4, 3, steps, converter.control_depth)
    assert made["lengths"].shape == (4, 3, *converter.length_shape)
    # One event a step, and windows that are full.
    assert set(made["outputs"].sum(axis=-1).flat) == {1.0}
    assert set(made["lengths"].reshape(12, -1).sum(axis=-1)) == {steps}
    files = bench_train._write(made, tmp_path / "batches")
    with tf.Graph().as_default(), tf.Session() as session:
        dataset = side.training_steps._dataset(tf, json.loads(json.dumps(files)))
        tensors = tf.data.make_one_shot_iterator(dataset).get_next()
        for number in range(6):
            for tensor, array in zip(session.run(tensors), made.values(), strict=True):
                assert tensor.dtype == array.dtype
                np.testing.assert_array_equal(tensor, array[number % 4])


@pytest.mark.slow
def test_batches_of_records_are_repeated_where_there_are_too_few(groove_records):
    config = ConfigRef("flat-groove_4bar", hparams="batch_size=200").build()
    path = f"{groove_records}/validation.tfrecord*"
    pieces = list(_all_examples(config, path))
    assert 0 < len(pieces) < 4 * 200
    made = bench_train._real(config, path)
    rows = made["outputs"].reshape(800, *made["outputs"].shape[2:])
    for row, piece in zip(rows, itertools.cycle(pieces)):
        np.testing.assert_array_equal(row, piece)
    assert set(made["lengths"].flat) == {64}
    assert made["controls"].shape == (4, 200, 64, 0)


def _all_examples(config, path):
    from pipelines.examples import reading

    for piece in reading.open_note_sequences(path).pieces():
        yield from config.data_converter.to_tensors(piece).outputs


def test_benchmarks_are_listed():
    done = bench()
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == sorted(benchmarks())
    assert {"convert", "input", "sample", "train"} <= set(benchmarks())


@pytest.mark.slow
def test_the_benchmark_of_tunes_converts_as_many_as_it_says(tmp_path):
    book = tmp_path / "book.abc"
    book.write_text("X:1\nT:One\nM:4/4\nL:1/8\nK:C\nCDEF GABc|cBAG FEDC|]\n")
    done = bench("tunes", f"--input={book}", "--tunes=1200,30", "--repeats=1")
    assert "| records | 1200 | 30 | 40.000 |  |" in done.stdout, done.stderr


@pytest.mark.slow
def test_the_benchmark_of_media_makes_pages_of_both_kinds():
    done = bench("media", "--pieces=3", "--repeats=1", "--json")
    assert done.returncode == 0, done.stderr
    cases = json.loads(done.stdout)["cases"]
    assert list(cases) == ["3 pieces", "sound of 3 pieces"]
    sizes = {name: measured[0]["page MB"] for name, measured in cases["3 pieces"].items()}
    # The engraver, half a megabyte, is in the page of tunes alone.
    assert sizes["page of drums"] < 0.5 < sizes["page of tunes"]
    for measured in cases["sound of 3 pieces"].values():
        assert measured[0]["minutes of sound"] > 0.1 and measured[0]["times real time"] > 0


def test_the_benchmark_of_titles_searches_as_many_as_it_says():
    done = bench("titles", "--titles=400,20", "--dimensions=8", "--queries=3", "--repeats=1")
    assert done.returncode == 0, done.stderr
    assert "| median of 1 | 400 titles | 20 titles | 400 titles / 20 titles |" in done.stdout
    for name in ("ms a query", "ms of the slowest", "seconds to open", "peak MiB"):
        assert f"| {name} | " in done.stdout
    assert "8 dimensions**" in done.stdout


@pytest.mark.slow
def test_bad_flags_and_unknown_names_are_one_line(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to("/bin/false")
    for arguments, message in [
        (["convert"], "missing --input"),
        (["train"], "missing --config"),
        (["convrt"], "no benchmark is named 'convrt'; did you mean convert"),
        (["tunes", "--input=x", "--tunes=many"], "--tunes=many: give numbers"),
        (["sample", "--num_outputs=0"], "--num_outputs=0: give numbers"),
        (["convert", "--input=x", "--stock=/nowhere"], "--stock=/nowhere: no environment with"),
        (["sample", f"--stock={tmp_path}"], f"--stock={tmp_path}: no environment with Magenta"),
    ]:
        done = bench(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert message in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_training_without_stock(tmp_path):
    report = tmp_path / "report.json"
    done = bench(
        "train",
        "--config=hierdec-groove_4bar",
        "--hparams=enc_rnn_size=[8],dec_rnn_size=[8,8],z_size=4",
        "--batch_sizes=2",
        "--steps=3",
        "--repeats=1",
        f"--json={report}",
    )
    assert done.returncode == 0, done.stderr
    assert "Magenta here: Magenta 2.1.4 on TensorFlow 2.21" in done.stdout
    assert "| median of 1 | reelgroove | Magenta here | reelgroove / Magenta here |" in done.stdout
    ((title, runs_of),) = json.loads(report.read_text())["cases"].items()
    assert title == (
        "hierdec-groove_4bar, enc_rnn_size=[8],dec_rnn_size=[8,8],z_size=4, batches of 2"
    )
    (ours,), (theirs,) = runs_of["reelgroove"], runs_of["Magenta here"]
    assert set(ours) == set(theirs)
    assert all(value > 0 for value in [*ours.values(), *theirs.values()])
    # The same model and the same batch; what dropout and z draw differs.
    assert ours["loss at the first step"] == pytest.approx(theirs["loss at the first step"], 0.02)
    assert ours["seconds to the first step"] > ours["... from the start of building"]


@pytest.mark.slow
def test_an_unknown_config_is_one_line():
    done = bench("train", "--config=flat-grove_4bar")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "error: no config is named 'flat-grove_4bar'; did you mean flat-groove_4bar or "
    )


@pytest.mark.slow
def test_sampling_without_stock(tmp_path):
    run = Run("flat-groove_4bar", configs.get("flat-groove_4bar"), "", None, {})
    checkpoint = losses.untrained(run, str(tmp_path), 1).checkpoint
    report = tmp_path / "report.json"
    done = bench(
        "sample",
        "--num_outputs=3",
        "--max_batch_size=2",
        f"--checkpoint_file={checkpoint}",
        "--repeats=1",
        f"--json={report}",
    )
    assert done.returncode == 0, done.stderr
    cases = json.loads(report.read_text())["cases"]
    sides = cases["3 pieces of four bars, batches of 2"]
    for (measured,) in sides.values():
        assert measured["files"] == 3
        # Untrained, about half of the 4 x 16 x 9 possible hits are played.
        assert 100 < measured["notes a file"] < 500


@pytest.mark.slow
def test_input_and_conversion_without_stock(tmp_path):
    corpus, report = tmp_path / "corpus", tmp_path / "report.json"
    grooves.write_corpus(corpus)
    done = bench(
        "input",
        f"--input={corpus}",
        "--copies=1",
        "--batch_size=8",
        "--seconds=0.5",
        "--repeats=1",
        f"--json={report}",
    )
    assert done.returncode == 0, done.stderr
    cases = json.loads(report.read_text())["cases"]
    sides = cases["flat-groove_4bar, 1 times the corpus"]
    assert list(sides) == [
        "tensors",
        "NoteSequences",
        "Magenta here, our windows",
        "Magenta here",
    ]
    for (measured,) in sides.values():
        assert measured["examples read"] >= 24 and measured["examples/s"] > 0
        assert measured["peak MiB"] >= measured["MiB at the end"]

    done = bench("convert", f"--input={corpus}", "--repeats=1", f"--json={report}")
    assert done.returncode == 0, done.stderr
    (sides,) = json.loads(report.read_text())["cases"].values()
    (ours,), (theirs,) = sides["reelgroove"], sides["Magenta here"]
    assert ours["records"] == theirs["records"] == len(list(corpus.rglob("*.mid")))
