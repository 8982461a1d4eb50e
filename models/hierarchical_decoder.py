"""Magenta's hierarchical decoder, with dropout only where it is trained."""

from magenta.models.music_vae import lstm_models, lstm_utils


class HierarchicalLstmDecoder(lstm_models.HierarchicalLstmDecoder):
    """`magenta.models.music_vae.lstm_models.HierarchicalLstmDecoder` (MusicVAE, section 3.2).

    Magenta builds the conductor's cells as if always training, so that evaluation and sampling go
    through their dropout. The variables and their names are the same, and so are checkpoints.
    """

    def build(self, hparams, output_depth, is_training=True):
        """Builds the conductor's cells and the core decoder; arguments as in BaseDecoder.build."""
        super().build(hparams, output_depth, is_training)
        # One stack of cells for every level above the core decoder, as in Magenta.
        self._hier_cells = [
            lstm_utils.rnn_cell(
                hparams.dec_rnn_size,
                hparams.dropout_keep_prob,
                hparams.residual_decoder,
                is_training,
            )
            for _ in self._level_lengths[:-1]
        ]
