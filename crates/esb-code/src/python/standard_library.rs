//! The modules of Python's standard library, by version.
//!
//! Owns the table: top-level names, as `sys.stdlib_module_names` and the modules of other systems
//! have them. Modules that later versions dropped are in it with their last one.

use super::version::Version;

/// Whether a top-level module comes with a version of Python.
pub(super) fn has(version: Version, name: &str) -> bool {
    if name == "__main__" || ALWAYS.split_whitespace().any(|known| known == name) {
        return true;
    }
    let known = SOMETIMES.iter().find(|(known, ..)| *known == name);
    // What is new in a version after the last of the table cannot be known.
    known.is_some_and(|(_, first, last)| {
        *first <= version.0 && (version.0 <= *last || *last == LAST)
    })
}

/// The last version of the table.
const LAST: u8 = 15;

/// Names of all versions from 3.6 to the last.
const ALWAYS: &str = "
    __future__ __hello__ __phello__ _ast _asyncio _bisect _blake2 _bz2 _codecs _codecs_cn
    _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _collections _collections_abc
    _compat_pickle _csv _ctypes _ctypes_test _curses _curses_panel _datetime _dbm _decimal
    _elementtree _frozen_importlib _frozen_importlib_external _functools _gdbm _hashlib _heapq
    _imp _io _json _locale _lsprof _lzma _markupbase _md5 _multibytecodec _multiprocessing
    _opcode _operator _osx_support _overlapped _pickle _posixsubprocess _pydecimal _pyio _random
    _scproxy _sha1 _sha3 _signal _sitebuiltins _socket _sqlite3 _sre _ssl _stat _string
    _strptime _struct _symtable _testbuffer _testcapi _testconsole _testimportmultiple
    _testmultiphase _thread _threading_local _tkinter _tracemalloc _warnings _weakref
    _weakrefset _winapi abc antigravity argparse array ast asyncio atexit base64 bdb binascii
    bisect builtins bz2 cProfile calendar cmath cmd code codecs codeop collections colorsys
    compileall concurrent configparser contextlib copy copyreg csv ctypes curses datetime dbm
    decimal difflib dis doctest email encodings ensurepip enum errno faulthandler fcntl filecmp
    fileinput fnmatch fractions ftplib functools gc genericpath getopt getpass gettext glob grp
    gzip hashlib heapq hmac html http idlelib imaplib importlib inspect io ipaddress itertools
    json keyword linecache locale logging lzma mailbox marshal math mimetypes mmap modulefinder
    msvcrt multiprocessing netrc nt ntpath nturl2path numbers opcode operator optparse os
    pathlib pdb pickle pickletools pkgutil platform plistlib poplib posix posixpath pprint
    profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re
    readline reprlib resource rlcompleter runpy sched secrets select selectors shelve shlex
    shutil signal site smtplib socket socketserver sqlite3 ssl stat statistics string stringprep
    struct subprocess symtable sys sysconfig syslog tabnanny tarfile tempfile termios textwrap
    this threading time timeit tkinter token tokenize trace traceback tracemalloc tty turtle
    turtledemo types typing unicodedata unittest urllib uuid venv warnings wave weakref
    webbrowser winreg winsound wsgiref xml xmlrpc xx xxsubtype zipapp zipfile zipimport zlib
";

/// Names of some versions: the first minor version and the last.
const SOMETIMES: &[(&str, u8, u8)] = &[
    ("__hello_alias__", 11, 15),
    ("__hello_only__", 11, 15),
    ("__phello_alias__", 11, 15),
    ("_abc", 7, 15),
    ("_aix_support", 9, 15),
    ("_android_support", 13, 15),
    ("_apple_support", 13, 15),
    ("_ast_unparse", 14, 15),
    ("_bootlocale", 6, 9),
    ("_bootsubprocess", 9, 11),
    ("_colorize", 13, 15),
    ("_compression", 6, 13),
    ("_contextvars", 7, 15),
    ("_crypt", 6, 12),
    ("_distutils_findvs", 6, 6),
    ("_dummy_thread", 6, 8),
    ("_hmac", 14, 15),
    ("_interpchannels", 13, 15),
    ("_interpqueues", 13, 15),
    ("_interpreters", 13, 15),
    ("_ios_support", 13, 15),
    ("_math_integer", 15, 15),
    ("_msi", 6, 12),
    ("_opcode_metadata", 13, 15),
    ("_peg_parser", 9, 9),
    ("_posixshmem", 8, 15),
    ("_py_abc", 7, 15),
    ("_py_warnings", 14, 15),
    ("_pydatetime", 12, 15),
    ("_pylong", 12, 15),
    ("_pyrepl", 13, 15),
    ("_queue", 7, 15),
    ("_remote_debugging", 14, 15),
    ("_sha2", 12, 15),
    ("_sha256", 6, 11),
    ("_sha512", 6, 11),
    ("_statistics", 8, 15),
    ("_suggestions", 13, 15),
    ("_sysconfig", 13, 15),
    ("_testcapi_datetime", 13, 15),
    ("_testclinic", 10, 15),
    ("_testclinic_limited", 13, 15),
    ("_testexternalinspection", 13, 13),
    ("_testinternalcapi", 8, 15),
    ("_testlimitedcapi", 13, 15),
    ("_testsinglephase", 12, 15),
    ("_tokenize", 11, 15),
    ("_types", 14, 15),
    ("_typing", 11, 15),
    ("_uuid", 7, 15),
    ("_wmi", 12, 15),
    ("_xxinterpchannels", 12, 12),
    ("_xxsubinterpreters", 8, 12),
    ("_xxtestfuzz", 7, 15),
    ("_zoneinfo", 9, 15),
    ("_zstd", 14, 15),
    ("aifc", 6, 12),
    ("annotationlib", 14, 15),
    ("asynchat", 6, 11),
    ("asyncore", 6, 11),
    ("audioop", 6, 12),
    ("binhex", 6, 10),
    ("cgi", 6, 12),
    ("cgitb", 6, 12),
    ("chunk", 6, 12),
    ("compression", 14, 15),
    ("contextvars", 7, 15),
    ("crypt", 6, 12),
    ("dataclasses", 7, 15),
    ("distutils", 6, 11),
    ("dummy_threading", 6, 8),
    ("formatter", 6, 9),
    ("fpectl", 6, 6),
    ("fpetest", 6, 6),
    ("graphlib", 9, 15),
    ("imghdr", 6, 12),
    ("imp", 6, 11),
    ("lib2to3", 6, 12),
    ("macpath", 6, 7),
    ("macurl2path", 6, 6),
    ("mailcap", 6, 12),
    ("msilib", 6, 12),
    ("nis", 6, 12),
    ("nntplib", 6, 12),
    ("ossaudiodev", 6, 12),
    ("parser", 6, 9),
    ("pipes", 6, 12),
    ("profiling", 15, 15),
    ("smtpd", 6, 11),
    ("sndhdr", 6, 12),
    ("spwd", 6, 12),
    ("sre_compile", 6, 14),
    ("sre_constants", 6, 14),
    ("sre_parse", 6, 14),
    ("sunau", 6, 12),
    ("symbol", 6, 9),
    ("telnetlib", 6, 12),
    ("tomllib", 11, 15),
    ("uu", 6, 12),
    ("xdrlib", 6, 12),
    ("xxlimited", 6, 14),
    ("xxlimited_35", 10, 15),
    ("xxlimited_3_13", 15, 15),
    ("zoneinfo", 9, 15),
];

/// Whether AWS's base images for Python bring a module beside the standard library.
pub(super) fn base_has(module: &str) -> bool {
    const BROUGHT: [&str; 14] = [
        "awslambdaric",
        "boto3",
        "botocore",
        "bootstrap",
        "dateutil",
        "jmespath",
        "lambda_runtime_client",
        "pip",
        "runtime_client",
        "s3transfer",
        "simplejson",
        "six",
        "snapshot_restore_py",
        "urllib3",
    ];
    BROUGHT.contains(&module)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_come_and_go() {
        let check = |name: &str, has_it: &[u8], lacks: &[u8]| {
            assert!(has_it.iter().all(|minor| has(Version(*minor), name)), "{name}");
            assert!(!lacks.iter().any(|minor| has(Version(*minor), name)), "{name}");
        };
        check("json", &[6, 9, 12, 15, 99], &[]);
        check("sys", &[6, 15], &[]);
        check("distutils", &[6, 11], &[12, 13, 99]);
        check("tomllib", &[11, 15, 16], &[10]);
        check("zoneinfo", &[9], &[8]);
        check("requests", &[], &[6, 12, 15, 99]);
        assert!(SOMETIMES.is_sorted());
    }
}
