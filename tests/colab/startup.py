"""Runs before the first cell: the library is hidden until the notebook's own `%pip` line asks for it."""
import os, shlex, sys
from importlib.machinery import PathFinder

from IPython import get_ipython

asked = []
ABSENT = {"nbdev", "fastcore", "execnb", "ghapi"}  # what makes the library, and is not needed to use it


class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name in ABSENT or name == "bss_gan" and not asked: return None
        return super().find_spec(name, path, target)


def pip(line):
    "Stands in for `%pip`: the library comes from the folder COLAB_PACKAGES, and nothing else can be had."
    packages = [word for word in shlex.split(line)[1:] if word[0] != "-"]
    assert [package.split(" @ ")[0] for package in packages] == ["bss_gan"], f"%pip {line}"
    asked.extend(packages)
    sys.path.insert(0, os.environ["COLAB_PACKAGES"])
    os.environ["PYTHONPATH"] = os.pathsep.join([os.environ["COLAB_PACKAGES"], os.environ["PYTHONPATH"]])  # for processes that it starts


sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
get_ipython().register_magic_function(pip)
