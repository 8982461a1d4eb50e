"""Tables of labels: the column that names files, and tables that are damaged or do not fit."""

import pytest

from pipelines.corpora import _labels
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime.app import UserError

FILES = ["a/one.mid", "a/two.mid", "b/one.mid", "b/Caf\u00e9.musicxml", "c/d/three.mid"]


def read(tmp_path, table, files=FILES):
    path = tmp_path / "labels.csv"
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    return _labels.read(str(path), files)


def cells(labels):
    return {file: row.cells for file, row in labels.rows.items()}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_tables_of_many_programs(tmp_path, delimiter, newline, encoding):
    rows = [["style", "file", "note"], ["jazz", "a/two.mid", '"x, y; ""z"""'], ["", "", ""]]
    table = newline.join(delimiter.join(row) for row in rows) + newline
    labels = read(tmp_path, table.encode(encoding))
    assert cells(labels) == {"a/two.mid": {"style": "jazz", "note": 'x, y; "z"'}}
    assert labels.counts["rows"] == 1 and not labels.problems


@pytest.mark.parametrize(
    "value, file",
    [
        ("a/one.mid", "a/one.mid"),
        ("two.mid", "a/two.mid"),
        ("two", "a/two.mid"),
        ("./a/two.mid ", "a/two.mid"),
        ("a\\two.mid", "a/two.mid"),
        ("d/three", "c/d/three.mid"),
        # As where a table names the files of a release, and --input is a folder in it.
        ("release/c/d/three.mid", "c/d/three.mid"),
        ("Cafe\u0301.musicxml", "b/Caf\u00e9.musicxml"),
    ],
)
def test_files_are_named_by_paths_ends_of_paths_and_names(tmp_path, value, file):
    labels = read(tmp_path, f"midi_filename,style\n{value},jazz\n")
    assert cells(labels) == {file: {"style": "jazz"}}


def test_the_column_that_names_most_files_is_taken(tmp_path):
    table = "title,path,style\none,a/two.mid,a\ntwo,a/one.mid,b\nthree,c/d/three.mid,c\n"
    labels = read(tmp_path, table)
    # "one" is two files, "two" and "three" are one each.
    assert {file: row["title"] for file, row in cells(labels).items()} == {
        "a/two.mid": "one",
        "a/one.mid": "two",
        "c/d/three.mid": "three",
    }


def test_rows_that_label_no_file_are_listed_and_counts_add_up(tmp_path, capsys):
    table = (
        "file,style\na/one.mid,a\none.mid,b\nabsent.mid,c\n,d\na/two.mid,e\ntwo.mid,f\n"
        "c/d/three.mid,g,h\n\nb/one.mid\n"
    )
    labels = read(tmp_path, table)
    assert cells(labels) == {
        "a/one.mid": {"style": "a"},
        "a/two.mid": {"style": "e"},
        "b/one.mid": {},
    }
    assert [(problem.key, problem.detail) for problem in labels.problems] == [
        ("labels.csv, row 3", "may name 2 files of --input: 'one.mid'"),
        ("labels.csv, row 4", "names no file of --input: 'absent.mid'"),
        ("labels.csv, row 5", "names no file of --input: ''"),
        ("labels.csv, row 7", "names 'a/two.mid' again, as row 6 does"),
        ("labels.csv, row 8", "3 cells, but there are 2 columns"),
    ]
    counts = labels.counts
    assert counts == {
        "rows": 8,
        "labelled": 3,
        "no_file": 2,
        "ambiguous": 1,
        "duplicate": 1,
        "bad_row": 1,
        "unlabelled": 2,
    }
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "3 of 8 rows label a file by 'file', 5 do not (the first: labels.csv, row 3: " in said


@pytest.mark.parametrize(
    "table, message",
    [
        (b"", "has no rows"),
        (b"\n\n", "has no rows"),
        (b"file,style\n", "has no rows"),
        (
            b"file,style\nx.mid,jazz\n",
            "no column that names a file of --input, such as 'a/one.mid'",
        ),
        (b"file,style,Style\na/one.mid,a,b\n", "has two columns 'style'; give one of them another"),
        (b"file,a b,a_b\na/one.mid,a,b\n", "has two columns 'a_b'"),
        ("file,style\na/one.mid,caf\u00e9\n".encode("latin-1"), "not in UTF-8 .* save it as UTF-8"),
        ("file,style\na/one.mid,x\n".encode("utf-16"), "not in UTF-8"),
        (b'file,style\na/one.mid,"x\n', "no table that can be read"),
        (b"file,style\na/one.mid," + b"x" * 200_000 + b"\n", "no table that can be read .field"),
        (b"PK\x03\x04\x00\xff\xff", "not in UTF-8|has no rows"),
    ],
)
def test_tables_that_cannot_be_used_are_one_line(tmp_path, table, message):
    with pytest.raises(UserError, match=message) as raised:
        read(tmp_path, table)
    assert "\n" not in str(raised.value) and "labels.csv" in str(raised.value)


def test_a_table_that_is_not_there(tmp_path):
    for path in (tmp_path / "absent.csv", tmp_path, tmp_path / "x" / "y.csv"):
        with pytest.raises(UserError, match="--labels=.* cannot be read .*; give a CSV file"):
            _labels.read(str(path), FILES)
    with pytest.raises(UserError, match="--input has no file to label"):
        read(tmp_path, "file,style\na,b\n", [])


def test_labels_of_each_kind():
    sequence = NoteSequence()
    _labels.label(
        sequence,
        {
            "canonical_title": "Nocturne",
            "title": "Another",
            "composer": "Chopin",
            "performer": "Me",
            "genre": "piano/romantic",
            "style": "romantic",
            "split": "test",
            "Year": "1832",
        },
    )
    metadata = sequence.sequence_metadata
    assert (metadata.title, list(metadata.composers), metadata.artist) == (
        "Nocturne",
        ["Chopin"],
        "Me",
    )
    assert list(metadata.genre) == ["piano", "romantic"]
    # The second title is a label; a split is told by where the record is.
    assert [annotation.text for annotation in sequence.text_annotations] == [
        "title=Another",
        "Year=1832",
    ]


def test_names_of_columns_are_no_fields_of_other_kinds(tmp_path):
    """ "T:" begins a title of ABC notation, and what is before the first "=" is a label's name."""
    table = "file,T:,warning:line 3,a=b,\na/one.mid,x,y,z,w\n"
    assert cells(read(tmp_path, table)) == {
        "a/one.mid": {"T_": "x", "warning_line_3": "y", "a_b": "z"}
    }
