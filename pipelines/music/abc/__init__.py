"""ABC notation: tunebooks to tunes, a tune to a NoteSequence, and a NoteSequence to ABC.

`tunebook` cuts the bytes of a file into tunes, `reading` plays a tune, `writing` writes one.
The notation is that of the ABC standard 2.1, http://abcnotation.com/wiki/abc:standard:v2.1
"""
