"""NoteSequence, Magenta's music message, without the weight of the package that defines it.

`import note_seq` takes three seconds (librosa, IPython, pandas ...), in every Beam worker, for one
generated file. That file is loaded here by its path. protobuf keeps one class for each message
type of a process, so a later `import note_seq` still works and gives this same class.
"""

import importlib.util
import pathlib
import sys


def _note_sequence_class():
    loaded = sys.modules.get("note_seq.protobuf.music_pb2")
    if loaded is not None:
        return loaded.NoteSequence
    package = importlib.util.find_spec("note_seq")
    path = pathlib.Path(package.origin).parent / "protobuf" / "music_pb2.py"
    spec = importlib.util.spec_from_file_location(f"{__name__}._music_pb2", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.NoteSequence


NoteSequence = _note_sequence_class()
