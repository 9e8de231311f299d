"""What `import instar` gives, and what it costs."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import instar
from instar.errors import InstarError, InterruptionError

HEAVY = {"torch", "polars", "numpy", "sklearn", "scipy", "pandas", "pyarrow", "PIL", "rich", "narwhals", "safetensors"}


def modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nimport json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_instar_imports_nothing_heavy() -> None:
    assert not modules_after("import instar; instar.__version__; dir(instar); instar.InstarError") & HEAVY


@pytest.mark.parametrize(
    "module",
    ["errors", "settings", "files", "registry", "split", "store", "fields", "sources", "configuration", "cache", "cli"],
)
def test_the_lower_rooms_never_import_torch(module: str) -> None:
    assert not modules_after(f"import instar.{module}") & {"torch", "sklearn", "pandas"}


def test_looking_into_the_kinds_and_sources_imports_no_torch() -> None:
    loaded = modules_after(
        "from instar.fields import kinds; from instar.sources import sources; list(kinds), list(sources)"
    )
    assert "torch" not in loaded and "instar.fields.image" in loaded


def test_everything_public_is_there_and_documented() -> None:
    assert set(instar.__all__) <= set(dir(instar))
    for name in instar.__all__:
        entry = getattr(instar, name)
        assert inspect.getdoc(entry), name
        assert entry.__doc__ and entry.__doc__.strip().endswith((".", ":", "`")), name


def test_every_method_of_a_model_is_documented() -> None:
    methods = {
        name: entry
        for name, entry in vars(instar.Model).items()
        if not name.startswith("_") and (callable(entry) or isinstance(entry, property))
    }
    assert {"predict", "predict_proba", "evaluate", "save", "classes"} <= set(methods)
    for name, entry in methods.items():
        assert inspect.getdoc(entry), name


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'trian'"):
        instar.trian  # noqa: B018
    assert not hasattr(instar, "nothing")


def test_a_star_import_gives_what_is_public() -> None:
    there: dict[str, object] = {}
    exec("from instar import *", there)
    assert set(instar.__all__) == set(there) - {"__builtins__"}


def test_the_version_is_the_installed_one_and_in_the_changelog() -> None:
    assert instar.__version__ == importlib.metadata.version("instar")
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.?(dev|a|b|rc)\d+)?", instar.__version__)
    assert instar.__version__ in (Path(__file__).parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")


def test_types_are_told_to_whoever_checks_them() -> None:
    assert (Path(instar.__file__).parent / "py.typed").is_file()


def errors(root: type[InstarError] = InstarError) -> list[type[InstarError]]:
    return [root, *(each for child in root.__subclasses__() for each in errors(child))]


def test_the_errors_are_a_tree_with_the_documented_exit_codes() -> None:
    codes = {each.__name__: each.exit_code for each in errors() if each.__module__ == "instar.errors"}
    assert codes == {
        "InstarError": 1,
        "UsageError": 2,
        "SettingError": 2,
        "DataError": 3,
        "SourceError": 3,
        "ColumnError": 3,
        "ContentError": 3,
        "DivergenceError": 4,
        "ModelError": 5,
        "FolderError": 6,
        "InterruptionError": 130,
    }
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    for code in sorted({*codes.values()} - {130}):
        assert re.search(rf"(^|[ ,:]){code} \w", readme, re.MULTILINE), f"README says nothing of exit code {code}"


def test_an_error_is_sentences_of_what_where_and_what_to_do() -> None:
    error = InstarError("It is empty", where="houses.csv, line 3", remedy="Fill it")
    assert str(error) == "houses.csv, line 3: It is empty. Fill it."
    assert (error.what, error.where, error.remedy) == ("It is empty", "houses.csv, line 3", "Fill it")
    assert str(InstarError("Is it?")) == "Is it?"
    assert InterruptionError("Stopped", exit_code=143).exit_code == 143


def test_every_module_can_be_imported_alone_and_says_what_it_is() -> None:
    for module in pkgutil.walk_packages(instar.__path__, "instar."):
        if module.name.endswith("__main__"):
            continue
        loaded = importlib.import_module(module.name)
        empty = not Path(str(loaded.__file__)).read_text(encoding="utf-8").strip()
        assert empty or (loaded.__doc__ and loaded.__doc__.strip()), module.name


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "instar.cli", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"instar {instar.__version__}"
