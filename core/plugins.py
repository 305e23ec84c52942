"""What users bring of their own: a function in a file that they name, or one that an installed package offers.

    detect = own("eyes/mine.py:detector", "detector")     # the file is run: whoever names it trusts it
    detect = own("mine", "detector")                      # an entry point of the group `multilingual_papers.detector`

Modules are not imported by their names: a name says nothing about whose code it is, and Python's own are among them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import UserError

GROUP = "multilingual_papers"


def own(spec: str, setting: str) -> Any:
    """What the user's function returns.

    Args:
        spec: `path/to/file.py:function`, or the name of an entry point in the group `multilingual_papers.<setting>`.
        setting: What is asked for, as the command line calls it.

    Raises:
        UserError: Neither of the two; or the file cannot be run, has no such function, or that function fails.
    """
    file, _, name = spec.rpartition(":")
    if file.endswith(".py"):
        return _called(spec, _of_file(spec, Path(file).expanduser(), name, setting), setting)
    offered = importlib.metadata.entry_points(group=f"{GROUP}.{setting}")
    if found := [entry for entry in offered if entry.name == spec]:
        return _called(spec, found[0].load(), setting)
    names = ", ".join(sorted(entry.name for entry in offered)) or "there is none"
    raise UserError(
        f"{setting} = {spec!r} is not known: give path/to/file.py:function, or the name of an entry point in the group "
        f"{GROUP}.{setting} ({names}); a module is not imported by its name."
    )


def own_text_function(spec: str, setting: str) -> Callable[[str], str]:
    """The user's `str -> str`, such as a translator; what it raises, or gives that is no text, is one sentence.

    Raises:
        UserError: As :func:`own`, or it gives no function.
    """
    function: Callable[[str], str] = own(spec, setting)
    if not callable(function):
        raise UserError(f"{spec} gives a {type(function).__name__}: let it return a function from text to text.")

    def one(text: str) -> str:
        try:
            found = function(text)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise UserError(f"{spec} fails ({reason}): mend it and run the command again.") from error
        if not isinstance(found, str):
            raise UserError(f"{spec} gave a {type(found).__name__} for a text: let it return the translation.")
        return found

    return one


def _called(spec: str, function: Any, setting: str) -> Any:
    try:
        return function()
    except Exception as error:
        raise UserError(f"{setting} = {spec!r}: the function fails ({type(error).__name__}: {error}).") from error


def _of_file(spec: str, path: Path, name: str, setting: str) -> Any:
    if not path.is_file():
        raise UserError(f"{setting} = {spec!r}: there is no file {path}, check the path.")
    # Under a name of its own, which no module that is imported can have.
    module_name = f"_own_{hashlib.sha256(str(path.resolve()).encode(errors='surrogateescape')).hexdigest()[:12]}"
    module = sys.modules.get(module_name)
    if module is None:
        found = importlib.util.spec_from_file_location(module_name, path)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        sys.modules[module_name] = module
        try:
            found.loader.exec_module(module)
        except Exception as error:
            del sys.modules[module_name]
            raise UserError(f"{setting} = {spec!r}: {path} cannot be run ({type(error).__name__}: {error}).") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise UserError(f"{setting} = {spec!r}: {path} has no function {name!r}, name one of its functions.")
    return function
