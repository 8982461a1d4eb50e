"""--hparams: what is merged, and what is refused."""

import pytest

from configs import ConfigRef
from pipelines.runtime.app import UserError


def test_unknown_hparams_are_named():
    with pytest.raises(UserError, match="z_sise.*; did you mean z_size\\?"):
        ConfigRef("flat-groove_4bar", hparams="z_sise=3").build()
    with pytest.raises(UserError, match="zzz.*; the hparams of flat-groove_4bar are .*z_size"):
        ConfigRef("flat-groove_4bar", hparams="batch_size=2,zzz=3").build()
    with pytest.raises(UserError, match="--hparams=z_size=many"):
        ConfigRef("flat-groove_4bar", hparams="z_size=many").build()


@pytest.mark.parametrize(
    "hparams, message",
    [
        ("batch_size=0", "batch_size must be at least 1"),
        ("z_size=0", "z_size must be at least 1"),
        ("dec_rnn_size=[]", "dec_rnn_size must be a list"),
        ("enc_rnn_size=[0]", "enc_rnn_size must be a list"),
        ("dropout_keep_prob=0.0", "dropout_keep_prob"),
        ("learning_rate=nan", "learning_rate must be a finite number"),
        ("max_seq_len=32", "max_seq_len must stay 64"),
    ],
)
def test_hparams_that_no_model_can_have_are_refused(hparams, message):
    with pytest.raises(UserError, match=message):
        ConfigRef("flat-groove_4bar", hparams=hparams).build()
