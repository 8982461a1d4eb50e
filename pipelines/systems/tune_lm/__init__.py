"""Language models of tunes: training, what a written note costs, baselines, and new tunes.

`tunes` reads the tunes of records as they are written, `training` and `model` make and open runs,
`kneser_ney` and `ppm` are the baselines, and `measure` counts bits, the same way for any model that
gives probabilities of tokens.

A tune is asked for by `conditions` and `forms`, or by a tune that `prompts` reads; `tasks` makes
items of that, which `grammar` compiles to tables and `decoding` draws by. `generation` writes the
files, and `samples` measures what comes out.
"""
