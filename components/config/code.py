"""Checks of a user's model code, without running it."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

MODULE = "model.py"
_REMEDY = "see docs/python-models.md"


def problems_of_code(folder: Path) -> Iterator[str]:
    """The first reason why the folder contains no model, if any. Problems that only running shows are not found."""
    path = folder / MODULE
    if not folder.exists():
        yield f"{folder} does not exist; name a folder with {MODULE}, {_REMEDY}"
    elif not path.is_file():
        yield f"{folder} has no {MODULE}; name a folder that has one, {_REMEDY}"
    else:
        yield from _problems_of_module(path)


def _problems_of_module(path: Path) -> Iterator[str]:
    try:
        module = ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        if error.lineno is None:
            yield f"{path} is no Python source ({error.msg}); correct it"
            return
        python = ".".join(map(str, sys.version_info[:2]))
        yield f"{path}, line {error.lineno}: {error.msg}, as Python {python} reads it; correct the line"
        return
    except (OSError, ValueError, RecursionError) as error:
        yield f"{path} is no Python source ({error}); correct it"
        return
    model = None
    for statement in _at_import(module.body):
        if isinstance(statement, ast.ClassDef) and statement.name == "Model":
            model = statement
        elif _binds_model(statement):
            # Imported or assigned: the image's build checks it.
            return
    if model is None:
        yield f"{path} has no class Model; name it so, {_REMEDY}"
    else:
        yield from _problems_of_class(path, model)


def _problems_of_class(path: Path, model: ast.ClassDef) -> Iterator[str]:
    methods = {
        each.name: each for each in _at_import(model.body) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    detect, start = methods.get("detect"), methods.get("__init__")
    inherits = bool(model.bases or model.keywords or model.decorator_list)
    if detect is None and not inherits:
        yield f"{path}, line {model.lineno}: the class Model has no method detect(self, frame); add it, {_REMEDY}"
    elif isinstance(detect, ast.AsyncFunctionDef):
        yield f"{path}, line {detect.lineno}: detect is a coroutine; write it with def, not async def"
    elif detect is not None and not _takes(detect, 2):
        yield f"{path}, line {detect.lineno}: detect does not take one frame; write it as detect(self, frame)"
    elif start is not None and not _takes(start, 1):
        yield f"{path}, line {start.lineno}: __init__ wants arguments, and Model() gets none; give them defaults"


def _at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that may run when a module is imported or a class defined, including those in if, try and with."""
    for statement in body:
        yield statement
        for block in ("body", "orelse", "finalbody", "handlers"):
            inner = getattr(statement, block, [])
            if not isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                for each in inner:
                    yield from _at_import(each.body if isinstance(each, ast.ExceptHandler) else [each])


def _binds_model(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return any((each.asname or each.name) in ("Model", "*") for each in statement.names)
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return any(isinstance(each, ast.Name) and each.id == "Model" for each in targets)


def _takes(method: ast.FunctionDef | ast.AsyncFunctionDef, count: int) -> bool:
    """Whether a method can be called with `count` positional arguments, including `self`; True for decorated ones."""
    given = method.args
    positional = len(given.posonlyargs) + len(given.args)
    needed = positional - len(given.defaults)
    named = any(default is None for default in given.kw_defaults)
    fits = needed <= count and (count <= positional or given.vararg is not None) and not named
    return bool(method.decorator_list) or fits
