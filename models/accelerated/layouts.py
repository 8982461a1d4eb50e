"""The layouts of a model: by which kernels and loops its layers run. All compute the same."""

from typing import NamedTuple

import tensorflow.compat.v1 as tf

# loops: TensorFlow's kernels for a CPU, in TensorFlow's loops.
# cudnn: whole layers by NVIDIA's cuDNN where all inputs are known; other loops as `xla`.
# xla: loops that XLA compiles.
NAMES = ("loops", "cudnn", "xla")
PRECISIONS = ("float32", "bfloat16")


class Layout(NamedTuple):
    """How the layers of a model run.

    Attributes:
      fused: whether kernels may be used that XLA does not have.
      cudnn: whether cuDNN runs the layers whose inputs are all known. It needs a GPU.
      compiled: whether XLA compiles the loops, each by itself.
      bfloat16: whether the factors of matrix products, and the products, are rounded to bfloat16.
        States, losses and variables stay float32, and so does what cuDNN computes.
    """

    fused: bool = True
    cudnn: bool = False
    compiled: bool = False
    bfloat16: bool = False

    @property
    def name(self) -> str:
        """Its name, one of NAMES."""
        return "cudnn" if self.cudnn else "xla" if self.compiled else "loops"

    @property
    def precision(self) -> str:
        """What it rounds products to, one of PRECISIONS."""
        return "bfloat16" if self.bfloat16 else "float32"

    def product(self, a, b, **how):
        """The product of two matrices, as float32; `how` as in tf.matmul.

        In bfloat16 it is rounded, too: TensorFlow has no kernel whose result is wider than that.
        """
        if not self.bfloat16:
            return tf.matmul(a, b, **how)
        return tf.cast(tf.matmul(self.factor(a), self.factor(b), **how), tf.float32)

    def factor(self, matrix):
        """A matrix as `product` takes it: for a factor of many products, rounded but once."""
        return tf.cast(matrix, tf.bfloat16) if self.bfloat16 else matrix

    def run(self, function, *arguments):
        """Calls a function of tensors; where loops are compiled, as a whole by XLA.

        Args:
          function: takes and returns tensors. It must make no variables, and draw nothing where
            the same seed is to give the same numbers: XLA knows no seeds.
          *arguments: tensors, and lists and tuples of them.
        """
        if not self.compiled:
            return function(*arguments)
        return tf.function(function, jit_compile=True, autograph=False)(*arguments)


LOOPS = Layout()


def of(name: str, precision: str = "float32", fused: bool = True) -> Layout:
    """The layout of a name.

    Args:
      name: one of NAMES.
      precision: one of PRECISIONS.
      fused: whether kernels may be used that XLA does not have; without, XLA can compile a whole
        training step.

    Raises:
      ValueError: for another name or precision.
    """
    if name not in NAMES or precision not in PRECISIONS:
        raise ValueError(f"{name}, {precision}: must be of {NAMES} and {PRECISIONS}")
    return Layout(
        # The fused kernels have no bfloat16.
        fused=fused and precision == "float32",
        cudnn=name == "cudnn",
        compiled=name != "loops",
        bfloat16=precision == "bfloat16",
    )
