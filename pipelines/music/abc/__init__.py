"""ABC notation: tunebooks to tunes, a tune to a NoteSequence, and a NoteSequence to ABC.

Reading, each module after the one before: `tunebook` cuts the bytes of a file into tunes, `lines`
tells music from what else is in their lines, `tokens` and `fields` read signs and header fields,
`notation` makes a `score` of them, `playing` plays it out, and `reader` does all of that. Writing:
`grid` puts a NoteSequence into musical time, `rhythm` and `voices` write its bars, and `writer`
does all of that.

The notation is that of the ABC standard 2.1, http://abcnotation.com/wiki/abc:standard:v2.1
"""
