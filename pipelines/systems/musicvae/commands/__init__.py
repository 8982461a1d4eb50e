"""The commands of MusicVAE: a program each."""
