"""Language models of tunes: what a written note costs, and the baselines.

`tunes` reads the tunes of records as they are written, `kneser_ney` and `ppm` are the baselines,
and `measure` counts bits, the same way for any model that gives probabilities of tokens.
"""
