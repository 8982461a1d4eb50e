"""The names of configs, read from their files without running them.

Running them imports Magenta and TensorFlow, which takes some ten seconds: too long a wait for the
message that a name is misspelt.
"""

import ast
import importlib.util
import pathlib
from collections.abc import Sequence

from pipelines.runtime.app import UserError
from pipelines.runtime.registry import Registry

# Where Magenta's configs lie in its package.
_MAGENTAS = "models/music_vae/configs.py"


def require_known(name: str | None, config_file: str | None = None) -> None:
    """Raises UserError for a config that does not exist, with the nearest names that do.

    Args:
      name: the config's name; nothing is checked where there is none.
      config_file: the user's Python file, which may define it. Where the names cannot be read from
        a file, nothing is checked: `configs.get` does so in any case.
    """
    require_file(config_file)
    found = names(config_file)
    if name and found is not None:
        registry: Registry[None] = Registry("config")
        registry.update(dict.fromkeys(found))
        registry[name]


def require_file(config_file: str | None) -> None:
    """Raises UserError where --config_file names something that is no file."""
    if config_file and not pathlib.Path(config_file).is_file():
        raise UserError(f"{config_file}: no such file; --config_file names a Python file")


def names(config_file: str | None = None) -> set[str] | None:
    """The names of all configs; None where a file does not write them out.

    Args:
      config_file: the user's Python file, if there is one.
    """
    defining = [(path, "CONFIGS") for path in _families() if path.name != "magenta.py"]
    defining += [(path, "HPARAMS") for path in _families()]
    magenta = importlib.util.find_spec("magenta")
    if magenta is None:
        return None
    for folder in magenta.submodule_search_locations or ():
        defining.append((pathlib.Path(folder, _MAGENTAS), "CONFIG_MAP"))
    read = [_keys(path, variable) for path, variable in defining]
    if config_file:
        # Where nothing is written out, the look-up says what is wrong with the file.
        read.append(_keys(pathlib.Path(config_file), "CONFIG_MAP") or None)
    found: set[str] = set()
    for keys in read:
        if keys is None:
            return None
        found |= keys
    return found


def systems() -> list[str]:
    """The systems beside MusicVAE whose configs `train` takes, each the name of a file here."""
    return [path.stem for path in _families() if _keys(path, "HPARAMS")]


def system_of(name: str) -> str | None:
    """The system beside MusicVAE that has a config of this name; None where none has."""
    return next((p.stem for p in _families() if name in (_keys(p, "HPARAMS") or ())), None)


def _families() -> list[pathlib.Path]:
    return sorted(pathlib.Path(__file__).parent.glob("[!_]*.py"))


def _keys(path: pathlib.Path, variable: str) -> set[str] | None:
    """The keys of a dict that a file defines; None where they are not written out.

    Understood are `NAME = {"key": ...}` and `NAME["key"] = ...` on the level of the module.
    """
    try:
        module = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found: set[str] = set()
    for node in module.body:
        understood = _assigned(node, variable)
        if understood is not None:
            found |= understood
        elif any(_mentions(each, variable) for each in ast.walk(node)):
            return None
    return found


def _mentions(node: ast.AST, variable: str) -> bool:
    """Whether a name is read, written or imported by a node alone."""
    if isinstance(node, ast.alias):
        return (node.asname or node.name) in (variable, "*")
    return isinstance(node, ast.Name) and node.id == variable


def _assigned(node: ast.stmt, variable: str) -> set[str] | None:
    """The keys that a statement gives to the dict; None for any other statement."""
    if isinstance(node, ast.AnnAssign):
        target: ast.expr = node.target
    elif isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
    else:
        return None
    value = node.value
    keys: Sequence[ast.expr | None]
    if isinstance(target, ast.Name) and target.id == variable and isinstance(value, ast.Dict):
        keys = value.keys
    elif (
        isinstance(target, ast.Subscript)
        and isinstance(target.value, ast.Name)
        and target.value.id == variable
    ):
        keys = [target.slice]
    else:
        return None
    words = [
        key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
    ]
    return set(words) if len(words) == len(keys) else None
