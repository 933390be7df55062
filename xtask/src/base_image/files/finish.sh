#!/bin/sh
# Runs once inside the new root file system, as its root: brings the interpreter to where AWS has
# it, drops what a function does not need, compiles, and checks the outcome.
set -eu
python=python$1
lang=/var/lang
library=$lang/lib/$python
rm -f "$0"

if [ ! -e "$lang/bin/$python" ]; then
    # Debian's hook would win over ours, its marker would refuse `pip install`, and its patches
    # would put packages into other folders.
    rm -rf "/etc/$python"
    rm -f "/usr/lib/$python/sitecustomize.py" "/usr/lib/$python/EXTERNALLY-MANAGED" \
        "/usr/lib/$python/_distutils_system_mod.py"
    mkdir -p "$lang/bin" "$library"
    cp -a "/usr/lib/$python/." "$library/"
    rm -rf "/usr/lib/$python"
    ln -s "$library" "/usr/lib/$python"
    mv "/usr/bin/$python" "$lang/bin/$python"
    ln -s "$lang/bin/$python" "/usr/bin/$python"
    # Where pip installs.
    for file in "$library/sysconfig.py" "$library/sysconfig/__init__.py"; do
        [ ! -e "$file" ] || sed -i \
            's/if sys\.base_prefix != sys\.prefix or hasattr(sys, "real_prefix"):/if True:/' "$file"
    done
    # Where the interpreter looks: its `site` is compiled in and knows Debian's folders only, so that
    # one of them leads to AWS's.
    foreign=$lang/lib/python3/dist-packages
    mkdir -p "$foreign"
    echo "import site, sys; site.addsitedir('$library/site-packages');" \
        "sys.path.remove('$foreign')" >"$foreign/site-packages.pth"
fi
ln -sf "$python" "$lang/bin/python3"
ln -sf python3 "$lang/bin/python"

find "$lang" /var/runtime -type d \( -name __pycache__ -o -path "$library/test" \
    -o -path "$library/lib2to3/tests" -o -path "$library/idlelib" -o -path "$library/turtledemo" \
    -o -path "$library/tkinter" -o -path "$library/ensurepip" -o -path "$library/config-*" \) \
    -prune -exec rm -rf {} +

# By content, not by time: every file of the image gets the same time.
PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 LD_LIBRARY_PATH=$lang/lib "$lang/bin/$python" \
    -m compileall -q --invalidation-mode checked-hash "$library" /var/runtime

PYTHONDONTWRITEBYTECODE=1 LD_LIBRARY_PATH=$lang/lib "$lang/bin/python" - "$library" <<'CHECK'
import sys

library = sys.argv[1]
packages = library + "/site-packages"
import bz2, ctypes, hashlib, lzma, readline, site, sqlite3, ssl, sysconfig, uuid, zlib
import xml.parsers.expat

wrong = [
    what
    for what, right in {
        "sys.prefix": sys.prefix == "/var/lang",
        "sys.path": packages in sys.path,
        "a foreign folder on sys.path": not any("dist-packages" in path for path in sys.path),
        "where pip installs": sysconfig.get_path("purelib") == packages,
        "a sitecustomize of the distribution": "sitecustomize" not in sys.modules,
    }.items()
    if not right
]
if wrong:
    sys.exit("the interpreter is not as AWS has it: " + ", ".join(wrong))
CHECK
