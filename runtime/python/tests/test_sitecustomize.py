"""A `sitecustomize` of the user's own beside ours: both run, in the base and in other images."""

import shutil
import subprocess
import venv

import pytest
from conftest import SITE_PACKAGES, TESTS, hook_env

IMAGE_START = TESTS.parent.parent / "image" / "python" / "sitecustomize.py"
SAYS = "import sys; sys.user_ran = getattr(sys, 'user_ran', 0) + 1\n"
ASK = (
    "import sys, sitecustomize\n"
    "finders = [type(f).__name__ for f in sys.meta_path].count('PatchFinder')\n"
    "print(finders, getattr(sys, 'user_ran', 0), getattr(sitecustomize, 'MINE', None), type(sys.stdout.buffer).__name__)"
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """An interpreter whose own site-packages hold the hooks, as the base image's do."""
    folder = tmp_path_factory.mktemp("base")
    venv.create(folder, symlinks=True)
    (own,) = folder.glob("lib/python3*/site-packages")
    shutil.copytree(SITE_PACKAGES, own, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "bin" / "python"


@pytest.fixture
def image(tmp_path):
    """The folder that images of others get, and their own interpreter."""
    folder = tmp_path / "opt"
    shutil.copytree(SITE_PACKAGES, folder, ignore=shutil.ignore_patterns("__pycache__", "*.pth"))
    shutil.copy(IMAGE_START, folder / "sitecustomize.py")
    return folder


@pytest.fixture(params=["file", "package", "bytecode"])
def users(request, tmp_path):
    """A folder with the user's own, in each form that Python takes."""
    folder = tmp_path / "users"
    folder.mkdir()
    text = SAYS + "MINE = 'mine'\n"
    if request.param == "package":
        (folder / "sitecustomize").mkdir()
        (folder / "sitecustomize" / "part.py").write_text("MINE = 'mine'\n")
        (folder / "sitecustomize" / "__init__.py").write_text(SAYS + "from .part import MINE\n")
    else:
        (folder / "sitecustomize.py").write_text(text)
    if request.param == "bytecode":
        import py_compile

        py_compile.compile(str(folder / "sitecustomize.py"), cfile=str(folder / "sitecustomize.pyc"))
        (folder / "sitecustomize.py").unlink()
    return folder


def ask(python, *flags, code=ASK, **env):
    env = hook_env(VICTORIALOGS_URL="http://127.0.0.1:9", ESB_LOG_EXIT_FLUSH_MS="1", **env)
    done = subprocess.run([python, *flags, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "cannot be reached" not in line]
    return done.stdout, said


def test_the_base_loads_the_hooks_alone(base):
    assert ask(base, PYTHONPATH=None) == ("1 0 None TeeBuffer\n", [])


def test_both_run_in_the_base(base, users):
    assert ask(base, PYTHONPATH=str(users)) == ("1 1 mine TeeBuffer\n", [])


@pytest.mark.parametrize("flag", ["-I", "-E", "-s"])
def test_the_base_loads_the_hooks_whatever_the_interpreter_is_told(base, users, flag):
    out, _ = ask(base, flag, PYTHONPATH=str(users))
    assert out.startswith("1 ") and out.endswith("TeeBuffer\n")


def test_without_site_there_are_neither(base, users):
    code = "import sys; print(type(sys.stdout.buffer).__name__, getattr(sys, 'user_ran', 0))"
    assert ask(base, "-S", code=code, PYTHONPATH=str(users)) == ("BufferedWriter 0\n", [])


def test_one_that_raises_is_told_by_python_and_the_hooks_are_there(base, image, tmp_path):
    users = tmp_path / "users"
    users.mkdir()
    (users / "sitecustomize.py").write_text("raise RuntimeError('mine')\n")
    for path in (str(users), f"{image}:{users}"):
        out, said = ask(base, PYTHONPATH=path, code="import sys; print(type(sys.stdout.buffer).__name__)")
        assert out == "TeeBuffer\n"
        assert any("RuntimeError: mine" in line for line in said) and "esb hooks" not in str(said)


def test_the_base_can_be_switched_off(base, users):
    assert ask(base, PYTHONPATH=str(users), ESB_HOOKS="off") == ("0 1 mine BufferedWriter\n", [])


def test_both_run_in_an_image_of_others(image, users):
    import sys

    path = f"{image}:{users}"
    assert ask(sys.executable, PYTHONPATH=path) == ("1 1 mine TeeBuffer\n", [])
    assert ask(sys.executable, PYTHONPATH=path, ESB_HOOKS="off") == ("0 1 mine BufferedWriter\n", [])


def test_an_image_of_others_on_our_base_loads_the_hooks_once(base, image, users, tmp_path):
    second = tmp_path / "second"
    shutil.copytree(image, second)
    path = f"{image}:{second}:{users}"
    assert ask(base, PYTHONPATH=path) == ("1 1 mine TeeBuffer\n", [])
    assert ask(base, PYTHONPATH=f"{image}") == ("1 0 None TeeBuffer\n", [])


def test_hooks_that_are_broken_leave_python_working(base, users, tmp_path):
    broken = tmp_path / "broken" / "esb_hooks"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("")
    (broken / "start.py").write_text("this is no python")
    out, said = ask(base, PYTHONPATH=f"{broken.parent}:{users}")
    assert out == "0 1 mine BufferedWriter\n"
    assert "esb_hooks.pth" in said[0]
