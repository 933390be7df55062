"""Loads the platform's hooks in an image that was not built on our base.

Owns: what a folder on `PYTHONPATH` hides. The interpreter finds this file before any
other `sitecustomize`, and Lambda's bootstrap leaves out the folders of layers as soon as
`PYTHONPATH` is set; both get their turn here.
"""


def _layers():
    import os
    import sys

    version = "python%d.%d" % sys.version_info[:2]
    for folder in ("/opt/python/lib/%s/site-packages" % version, "/opt/python"):
        if folder not in sys.path and os.path.isdir(folder):
            sys.path.append(folder)


def _hooks():
    import os

    if os.environ.get("ESB_HOOKS", "").lower() in ("0", "off", "false", "no"):
        return
    try:
        from esb_hooks import start

        start.install()
    except Exception as error:  # an interpreter without hooks beats a broken one
        import sys

        if sys.__stderr__ is not None:
            try:
                sys.__stderr__.write("esb hooks: not loaded: %r\n" % (error,))
            except (OSError, ValueError):
                pass


def _next():
    """Runs the `sitecustomize` that would have been found without this one: a file or a package.

    It is the module from then on. What it raises is the interpreter's to tell, as ever.
    """
    import os
    import sys

    folders = [os.path.realpath(folder or ".") for folder in sys.path]
    here = os.path.dirname(os.path.realpath(__file__))
    # What lies before has been looked at, and another copy of this file looks behind itself.
    after = folders.index(here) + 1 if here in folders else 0
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec = find("sitecustomize", sys.path[after:]) if find else None
        if spec is not None and spec.loader is not None:
            from importlib.util import module_from_spec

            module = module_from_spec(spec)
            sys.modules["sitecustomize"] = module
            spec.loader.exec_module(module)
            return


_layers()
_hooks()
_next()
