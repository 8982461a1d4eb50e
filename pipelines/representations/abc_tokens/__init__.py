"""Tunes as they are written, as tokens of music: notes, bar lines, repeats, endings, keys.

A tune is written once with its repeat signs, as tunebooks have it, not played out. Language models
of tunes learn from these tokens, and what they write reads as a tune. `written` has a tune as a
value, from the reader's score and back; `vocabulary` has the tokens; `steps` turns a tune into
arrays of them, with what is known before each, and back; `notation` writes a tune in ABC notation.

Characters of ABC notation, as in folk-rnn (Sturm et al., 2016, "Music transcription modelling and
composition using deep learning"), spell one tune in many ways. Here a tune has one spelling: a
pitch counts from the tonic, a length is a part of a whole note, and the key is a condition.
"""
