"""Pieces as summaries for TensorBoard: pictures of their notes, and their sound."""

import io
import struct

import numpy as np
import tensorflow.compat.v1 as tf
from note_seq.protobuf import music_pb2

from pipelines.audio import synthesis
from pipelines.media import pianoroll

# Mono at half the frames of a CD: a quarter of the disk space, and loops sound as they do. WAV is
# the one encoding that TensorBoard names to the browser.
RATE = synthesis.RATE // 2
# The beginning of a longer piece is enough to hear how training goes.
MAX_SECONDS = 15
_FADE = RATE // 10  # Frames.


def picture(tag: str, sequence: music_pb2.NoteSequence, title: str) -> tf.Summary.Value:
    """The piano roll of a piece.

    Args:
      tag: the name of the summary; TensorBoard puts together what has the same words before "/".
      sequence: an unquantized NoteSequence.
      title: stands over the picture.
    """
    png = pianoroll.png(sequence, title)
    # Where a PNG file says how large it is.
    width, height = struct.unpack(">II", png[16:24])
    image = tf.Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
    return tf.Summary.Value(tag=tag, image=image)


def audio(tag: str, sequence: music_pb2.NoteSequence) -> tf.Summary.Value:
    """The sound of the first `MAX_SECONDS` of a piece, as `audio.synthesis` plays it, in mono.

    Args:
      tag: as `picture` takes it.
      sequence: an unquantized NoteSequence.

    Raises:
      UserError: where the synthesiser or its sound font is missing.
    """
    import soundfile
    from scipy import signal

    samples, _ = synthesis.render(sequence)
    mono = signal.resample_poly(samples.mean(axis=1), RATE, synthesis.RATE).astype(np.float32)
    if len(mono) > MAX_SECONDS * RATE:
        mono = mono[: MAX_SECONDS * RATE]
        mono[-_FADE:] *= np.linspace(1, 0, _FADE, dtype=np.float32)
    wav = io.BytesIO()
    soundfile.write(wav, mono, RATE, format="WAV", subtype="PCM_16")
    sound = tf.Summary.Audio(
        sample_rate=RATE,
        num_channels=1,
        length_frames=len(mono),
        encoded_audio_string=wav.getvalue(),
        content_type="audio/wav",
    )
    return tf.Summary.Value(tag=tag, audio=sound)
