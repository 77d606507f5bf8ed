"""No line of the package can turn the bytes of a file into code."""

import ast
import builtins
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

import whitecrow
from whitecrow.io import load

SOURCE = Path(whitecrow.__file__).parent

# Modules that run what they read, whatever is called in them.
MODULES = {
    "pickle", "cPickle", "_pickle", "pickletools", "cloudpickle", "dill", "marshal", "shelve", "dbm", "code",
    "codeop", "runpy", "imp", "yaml", "skops", "jsonpickle", "torch.package", "torch.hub",
    "torch.serialization", "torch.jit", "multiprocessing.reduction", "joblib.numpy_pickle",
}  # fmt: skip
# Of the modules above, what builds plain values alone.
PLAIN = {"yaml.safe_load", "yaml.YAMLError"}
# Single functions of modules that are harmless otherwise.
FUNCTIONS = {
    "eval", "exec", "compile", "__import__", "joblib.load", "torch.load", "numpy.lib.format.read_array",
    "pandas.read_pickle", "os.system", "os.popen",
    "importlib.util.spec_from_file_location", "importlib.machinery.SourceFileLoader",
}  # fmt: skip


def faults(source: str) -> list[str]:
    """Return the ways to execute data that appear in a source text, as ``line: name``."""
    tree = ast.parse(source)
    homes: dict[str, str] = {}
    found = []

    def judge(node: ast.stmt | ast.expr, name: str) -> None:
        parts = name.split(".")
        prefixes = {".".join(parts[:k]) for k in range(1, len(parts) + 1)}
        if name in PLAIN:
            return
        if prefixes & MODULES or name.removeprefix("builtins.") in FUNCTIONS:
            found.append(f"{node.lineno}: {name}")

    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                judge(node, alias.name)
                homes[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                judge(node, f"{node.module}.{alias.name}")
                homes[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def dotted(node: ast.AST) -> str | None:
        if isinstance(node, ast.Name):
            return homes.get(node.id, f"builtins.{node.id}")
        if isinstance(node, ast.Attribute):
            inner = dotted(node.value)
            return None if inner is None else f"{inner}.{node.attr}"
        return None

    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)) and (name := dotted(node)):
            judge(node, name)
        if isinstance(node, ast.Call):
            name = dotted(node.func) or ""
            keywords = {k.arg: k.value for k in node.keywords}
            allowed = keywords.get("allow_pickle")
            if allowed is not None and not (isinstance(allowed, ast.Constant) and allowed.value is False):
                found.append(f"{node.lineno}: allow_pickle")
            if name in ("numpy.load", "numpy.lib.npyio.NpzFile") and (None in keywords or len(node.args) > 2):
                found.append(f"{node.lineno}: arguments of {name} that cannot be seen")
            if name.endswith("import_module") and isinstance(node.args[0], ast.Constant):
                judge(node, str(node.args[0].value))
    return found


def test_no_code_path_can_execute_a_file():
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 30
    assert {str(f.relative_to(SOURCE)): found for f in files if (found := faults(f.read_text()))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import pickle as data",
        "from pickle import loads",
        "import _pickle",
        "def f():\n    from cloudpickle import load",
        "import dill",
        "import joblib\njoblib.load('x')",
        "from joblib import load as read",
        "import torch\ntorch.load('x')",
        "import torch as t\nread = t.load",
        "import torch\ntorch.jit.load('x')",
        "from torch import load",
        "from torch import hub",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import numpy as np\nnp.load('x', allow_pickle=flag)",
        "import numpy as np\nnp.load('x', None, True)",
        "import numpy as np\nnp.load('x', **options)",
        "eval('1')",
        "run = exec",
        "import builtins\nbuiltins.exec('1')",
        "__import__('os')",
        "import marshal",
        "import shelve",
        "from importlib import import_module\nimport_module('pickle')",
        "import os\nos.system('ls')",
        "import yaml",
        "from yaml import load",
        "from yaml import safe_load\nimport yaml.constructor",
    ],
)
def test_the_search_finds(source):
    assert faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "net.eval()",
        "import numpy as np\nnp.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=False)",
        "from whitecrow.io import load\nload('x')",
        "import json\njson.load(file)",
        "from safetensors.torch import load",
        "from yaml import safe_load\nsafe_load('a: 1')",
    ],
)
def test_the_search_lets_pass(source):
    assert not faults(source)


def test_loading_calls_no_unpickler_and_no_interpreter(content, written, rows, fitted, monkeypatch):
    path = written(content)
    load(path)  # what is imported on first use comes in before the doors are shut

    def forbidden(*arguments, **keywords):
        raise AssertionError("a model file reached an interpreter")

    for owner, names in (
        (pickle, ("load", "loads", "Unpickler", "_Unpickler", "_load", "_loads")),
        (torch, ("load",)),
        (np, ("load",)),
        (builtins, ("eval", "exec", "compile")),
    ):
        for name in names:
            monkeypatch.setattr(owner, name, forbidden)
    loaded = load(path)
    monkeypatch.undo()
    np.testing.assert_array_equal(loaded.anomaly_score(rows), fitted.anomaly_score(rows))


def test_the_interpreter_sees_nothing_but_the_opening_of_the_file(content, written, preloaded_python):
    script = """
import sys
from whitecrow.io import load
path = sys.argv[1]
load(path)
seen = []
sys.addaudithook(lambda event, arguments: seen.append((event, str(arguments[:1]))))
load(path)
harmless = {"object.__getattr__", "object.__setattr__", "builtins.id", "open"}
others = [entry for entry in seen if entry[0] not in harmless]
opened = {entry[1] for entry in seen if entry[0] == "open"}
assert not others, others
assert all(path in name for name in opened), opened
"""
    done = subprocess.run(
        [preloaded_python, "-c", script, str(written(content))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
