"""O'Neill's Music of Ireland: its 1,850 tunes, some of them twice, in 39 files.

The transcription is the one that music21's corpus has as oneills1850.
"""

from pipelines.corpora import _tunebooks

CORPUS = _tunebooks.collection(
    name="oneills",
    summary="O'Neill's Music of Ireland as in music21's corpus; --input is its folder or zip",
    files=(
        "0001-0050.abc",
        "0051-0100.abc",
        "0101-0200.abc",
        "0201-0300.abc",
        "0301-0350.abc",
        "0351-0400.abc",
        "0401-0486.abc",
        "0487-0500.abc",
        "0501-0550.abc",
        "0550-0625.abc",
        "0626-0635.abc",
        "0626-0700.abc",
        "0701-0720.abc",
        "0721-0730.abc",
        "0731-0731.abc",
        "0732-0758_bs.abc",
        "0732-0758_mh.abc",
        "0759-0810.abc",
        "0811-0899.abc",
        "0900-0950.abc",
        "0951-0981.abc",
        "0981-1000.abc",
        "1001-1031.abc",
        "1031-1115.abc",
        "1116-1135_mh.abc",
        "1116-1135_ml.abc",
        "1136-1175.abc",
        "1176-1275.abc",
        "1276-1375.abc",
        "1376-1475.abc",
        "1476-1555.abc",
        "1556-1576.abc",
        "1556-1624.abc",
        "1577-1624.abc",
        "1625-1700.abc",
        "1701-1780.abc",
        "1710-1750.abc",
        "1781-1800.abc",
        "1801-1850.abc",
    ),
    tunes=2009,
)
