"""The ``qevm`` command line.  Starts without importing Textual unless the app is wanted."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable, Sequence

import qevm
from qevm.problems import NeedsChoice, QevmError
from qevm_tui import commands

EXIT_SOUND = 0
EXIT_PROBLEMS = 1
EXIT_CANNOT = 2

Handler = Callable[[argparse.Namespace], int]


class _Parser(argparse.ArgumentParser):
    """Errors as one line on stderr and exit 2, as every other error of qevm."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(EXIT_CANNOT, f"qevm: {message} (try {self.prog} --help)\n")


def build_parser(*, demo: bool = False) -> argparse.ArgumentParser:
    """The parser of all subcommands.  ``qevm CAPTURE`` without one opens the app.

    ``demo``: the arguments hold ``--demo``, so no CAPTURE is among them.
    """
    parser = _Parser(
        prog="qevm",
        usage="qevm [--offset N] CAPTURE | qevm --demo | qevm COMMAND CAPTURE ...",
        description="An explorer for QEMU migration streams. Without a command, CAPTURE opens in the app.",
        epilog="A file that is named like a command: write ./ls.",
    )
    parser.add_argument(
        "--print-config", action="store_true", help="print the app's configuration in effect, as TOML"
    )
    parser.add_argument("--version", action="version", version=f"qevm {qevm.__version__}")
    sub = parser.add_subparsers(dest="command", metavar="COMMAND", prog="qevm")

    add = functools.partial(_add, sub, demo)

    app = add("open", commands.open_app, "open CAPTURE in the app (what plain `qevm CAPTURE` does)")
    app.add_argument(
        "--follow", action="store_true", help="go on while the file is being written, until the stream ends"
    )

    ls = add("ls", commands.ls, "one line a section, in stream order")
    ls.add_argument("--json", action="store_true", help="JSON Lines")

    show = add("show", commands.show, "the decoded fields of a section")
    _add_section(show)
    show.add_argument("--json", action="store_true", help="as JSON")
    show.add_argument("--all", action="store_true", help="every element of long arrays and page runs")

    export = add("export", commands.export, "write a section's bytes")
    _add_section(export)
    export.add_argument("-o", "--output", required=True, metavar="FILE", help="- is standard output")
    export.add_argument("--format", choices=("raw", "hex", "json"), default="raw")
    export.add_argument("--chain", action="store_true", help="all sections of the section's device")
    export.add_argument("--force", action="store_true", help="overwrite FILE")

    check = add("check", commands.check, "walk everything; exit 0 sound, 1 problems, 2 cannot be opened")
    check.add_argument("--json", action="store_true", help="JSON Lines, one problem a line")

    ram = add("ram", _ram, "rebuild guest memory: RAM blocks into sparse files")
    ram.add_argument("--block", metavar="NAME", help="only this RAM block")
    ram.add_argument("--at", metavar="SECTION", help="as it is after this section (default: at the end)")
    ram.add_argument(
        "--channel",
        metavar="FILE",
        action="append",
        default=[],
        help="a recorded multifd page channel (repeatable)",
    )
    ram.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="DIR_OR_FILE",
        help="a folder; with --block a file or a folder",
    )
    ram.add_argument("--force", action="store_true", help="overwrite files")

    add("analyze", commands.analyze, "the JSON of QEMU's scripts/analyze-migration.py -d state")
    return parser


def _ram(options: argparse.Namespace) -> int:
    from qevm_tui.ram_command import ram

    return ram(options)


def _add(
    sub: argparse._SubParsersAction[_Parser], demo: bool, name: str, handler: Handler, text: str
) -> argparse.ArgumentParser:
    parser = sub.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.set_defaults(handler=handler)
    if not demo:
        parser.add_argument("capture", metavar="CAPTURE")
    parser.add_argument(
        "--demo", action="store_true", help="in place of CAPTURE: the small real capture that ships with qevm"
    )
    add_open_options(parser)
    return parser


def add_open_options(parser: argparse.ArgumentParser) -> None:
    """The options that choose a stream inside a file: the same for every subcommand."""
    group = parser.add_argument_group("which stream, and how it is opened")
    group.add_argument(
        "--offset", type=_number, metavar="N", help="where the stream begins in the file (file:…,offset=N)"
    )
    group.add_argument(
        "--stream",
        type=_ordinal,
        metavar="N",
        default=1,
        help="the Nth of several streams in one file, from 1",
    )
    group.add_argument("--snapshot", metavar="ID|TAG", help="an internal snapshot of a qcow2 image")
    group.add_argument(
        "--no-cache", action="store_true", help="neither use nor keep the index of a large capture"
    )
    group.add_argument("--tmpdir", metavar="DIR", help="where compressed files are unpacked")
    group.add_argument("--max-size", type=_number, metavar="BYTES", help="give up unpacking beyond this size")
    group.add_argument(
        "--max-ratio", type=_number, metavar="N", help="give up unpacking beyond N bytes per byte (1000)"
    )
    group.add_argument(
        "--fill-disk", action="store_true", help="unpack even when less than 1 GiB stays free in DIR"
    )


def _add_section(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("section", metavar="SECTION", help="an index from ls, IDSTR or IDSTR@INSTANCE")
    parser.add_argument(
        "--chunk", metavar="start|end|N", help="one section of a chain; N counts from 0, the START"
    )


def _ordinal(text: str) -> int:
    value = _number(text)
    if value < 1:
        raise argparse.ArgumentTypeError("streams are counted from 1")
    return value


def _number(text: str) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a number: {text!r}") from None
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


_COMMANDS = ("open", "ls", "show", "export", "check", "analyze", "ram")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status and never shows a traceback."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments:
        build_parser().print_help(sys.stderr)
        return EXIT_CANNOT
    if arguments == ["--print-config"]:
        return commands.print_config()
    if arguments[0] not in _COMMANDS and arguments[0] not in ("-h", "--help", "--version"):
        arguments.insert(0, "open")
    demo = "--demo" in arguments and (
        "--" not in arguments or arguments.index("--demo") < arguments.index("--")
    )
    options = build_parser(demo=demo).parse_args(arguments)
    try:
        status = options.handler(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (| head).  Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_SOUND
    except KeyboardInterrupt:
        return 130
    except NeedsChoice as error:
        print(error, file=sys.stderr)
        return EXIT_CANNOT
    except (QevmError, OSError) as error:
        print(f"qevm: {one_line(error)}", file=sys.stderr)
        return EXIT_CANNOT
    return int(status)


def one_line(error: BaseException) -> str:
    """An error as one harmless line."""
    from qevm.safetext import safe

    return safe(" ".join(str(error).split()) or type(error).__name__)
