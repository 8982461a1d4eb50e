"""Datasets that TensorFlow Datasets prepared; workers read them without TensorFlow."""

import functools
from collections.abc import Iterator
from typing import Any

from pipelines.records import tfrecord
from pipelines.runtime import tfds_downloads
from pipelines.runtime.app import UserError


def examples(
    name: str, supported: str, without: str
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Lists the examples of a dataset; prepares it first if that was not done before.

    TFDS keeps the data in ~/tensorflow_datasets, or in $TFDS_DATA_DIR.

    Args:
      name: as `tfds.builder` takes it: "groove/full-midionly", or with a version.
      supported: the dataset and config that it has to be.
      without: the feature to leave out; `feature` reads it later.

    Yields:
      Split; features by flat name ("style/primary"), with labels as their names; and the location
      of the example, for `feature`.

    Raises:
      UserError: if the dataset is another one, or cannot be prepared.
    """
    builder = _prepared(name, supported)
    for split, info in builder.info.splits.items():
        for path in info.filepaths:
            for offset, record in tfrecord.read_at(path):
                features = {
                    key: _value(feature, builder.info.features, key)
                    for key, feature in _features(record).items()
                    if key != without
                }
                yield split, features, {"path": str(path), "offset": offset}


def _prepared(name: str, supported: str):
    """The TFDS builder of a dataset, once the dataset is there as TFRecords."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import util
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    try:
        builder = tfds.builder(name)
        config = builder.builder_config
        if f"{builder.name}/{config.name if config else ''}" != supported:
            raise UserError(f"tfds:{name} is not supported; use tfds:{supported}")
        with tfds_downloads.careful():
            builder.download_and_prepare()
    except (OSError, ValueError, util.DownloadError, NonMatchingChecksumError) as error:
        raise UserError(
            f"tfds:{name} cannot be prepared ({tfds_downloads.reason(error)}); "
            "give the release's zip as --input instead"
        ) from error
    if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
        raise UserError(
            f"tfds:{name} is prepared as {builder.info.file_format.value} in "
            f"{builder.data_dir}; prepare it as tfrecord"
        )
    return builder


def feature(location: dict[str, Any], name: str) -> bytes:
    """A bytes feature of the example at a location that `examples` gave."""
    _, record = next(tfrecord.read_at(location["path"], location["offset"]))
    return _features(record)[name].bytes_list.value[0]


def _features(record: bytes) -> dict[str, Any]:
    return dict(_example_class().FromString(record).features.feature)


def _value(feature, types, key: str) -> Any:
    if feature.bytes_list.value:
        return feature.bytes_list.value[0].decode("utf-8")
    number = feature.int64_list.value[0]
    for part in key.split("/"):
        types = types[part]
    return types.int2str(number) if hasattr(types, "int2str") else number


@functools.cache
def _example_class():
    """The class tf.train.Example as TFDS defines it, which needs no TensorFlow."""
    from tensorflow_datasets.proto import tf_example_pb2

    return tf_example_pb2.Example
