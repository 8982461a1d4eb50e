"""The commands of the language models of tunes: a program each."""
