"""A Python that has imported everything: one process that forks whenever a test, or what it tests, starts another.

Importing torch takes seconds, in each process anew. ``serve`` imports it once. ``connect``, which a test puts in the
place of the interpreter, hands its arguments, environment, folder and standard streams to a fork of that process,
passes signals on to it, and ends as it ends; if it is killed, so is the fork.

    python preloaded.py serve SOCKET MODULE...
    python preloaded.py connect SOCKET EXECUTABLE (-m MODULE | -c CODE) ARGUMENT...
"""

import json
import os
import signal
import socket
import sys


def serve(path: str, modules: list[str]) -> dict:
    """Fork for whoever connects, until the standard input ends; return, in a fork, what it is asked to run."""
    import select
    from contextlib import suppress
    from importlib import import_module

    for module in modules:
        with suppress(ModuleNotFoundError):  # of an extra that is not installed
            import_module(module)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    os.write(1, b"ready\n")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while 0 not in select.select([0, listener], [], [])[0]:
        starter, _ = listener.accept()
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            return answer(starter)
        starter.close()
    os._exit(0)


def answer(starter: socket.socket) -> dict:
    """Fork once more; return what to run in the one, watch over it in the other."""
    import select
    from contextlib import suppress

    text, streams, *_ = socket.recv_fds(starter, 1 << 16, 3)
    while not text.endswith(b"\n"):
        more = starter.recv(1 << 16)
        if not more:
            os._exit(1)  # the starter was killed before it had said what to run
        text += more
    pid = os.fork()
    if not pid:
        starter.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        return json.loads(text)
    for stream in (0, 1, 2, *streams):
        os.close(stream)
    ended = os.pidfd_open(pid)
    watched: list = [starter, ended]
    while ended not in select.select(watched, [], [])[0]:
        received = starter.recv(1)
        os.kill(pid, received[0] if received else signal.SIGKILL)
        if not received:
            watched.remove(starter)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(BrokenPipeError):
        starter.send(json.dumps(code).encode())
    os._exit(0)


def run(asked: dict) -> None:
    """Be the interpreter that was asked for."""
    import atexit
    import importlib
    import runpy
    import traceback

    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    sys.executable, how, what, *arguments = asked["words"]
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = ["", *(folder for folder in folders if folder not in sys.path)]
    sys.argv = [how, *arguments]
    importlib.invalidate_caches()
    code: object = 0
    try:
        if how == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    # Taking down modules that other processes share takes a second.
    os._exit(code if isinstance(code, int) else int(code is not None))


def connect(path: str, words: list[str]) -> None:
    """Have a fork run what the words say, and end as it does."""
    server = socket.socket(socket.AF_UNIX)
    server.connect(path)
    text = (
        json.dumps({"words": words, "environment": dict(os.environ), "folder": os.path.realpath(".")}).encode() + b"\n"
    )
    server.sendall(text[socket.send_fds(server, [text], [0, 1, 2]) :])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: server.send(bytes([received])))
    code = json.loads(server.recv(8) or "1")
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    action, place, *rest = sys.argv[1:]
    if action == "connect":
        connect(place, rest)
    else:
        run(serve(place, rest))
