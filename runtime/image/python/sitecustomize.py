"""Loads the platform's hooks in an image that was not built on our base.

Owns: what a folder on `PYTHONPATH` hides. The interpreter finds this file before any
other `sitecustomize`, and Lambda's bootstrap leaves out the folders of layers as soon as
`PYTHONPATH` is set; both get their turn here. Refuses: to load the hooks twice, where the
image has them already.
"""


def _layers():
    import os
    import sys

    version = "python%d.%d" % sys.version_info[:2]
    for folder in ("/opt/python/lib/%s/site-packages" % version, "/opt/python"):
        if folder not in sys.path and os.path.isdir(folder):
            sys.path.append(folder)


def _other():
    """The file that would have been loaded without us, if there is one."""
    import os
    import sys

    here = os.path.dirname(os.path.abspath(__file__))
    for folder in sys.path:
        path = os.path.join(os.path.abspath(folder or "."), "sitecustomize.py")
        if os.path.dirname(path) != here and os.path.isfile(path):
            return path
    return None


def _start():
    import os

    path = _other()
    text = b""
    if path is not None:
        with open(path, "rb") as file:
            text = file.read()
    if b"esb_hooks" not in text:
        if os.environ.get("ESB_HOOKS", "").lower() not in ("0", "off", "false", "no"):
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
    if path is not None:
        names = {"__name__": "sitecustomize", "__file__": path}
        exec(compile(text, path, "exec"), names)


_layers()
_start()
del _layers, _other, _start
