"""MusicVAE: training, evaluation and generation around Magenta."""
