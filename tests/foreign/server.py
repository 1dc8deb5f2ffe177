"""A real server for the tests of foreign clients: the binary, a fresh data folder, the demo catalogue."""

import os
import socket
import subprocess
import tempfile
import time
import urllib.request


class Server:
    """Runs `tidewire serve --demo` while the `with` block lasts."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.binary = os.environ["TIDEWIRE_BIN"]
        self.arguments = arguments
        self.env = {**os.environ, **(env or {})}
        self.folder = tempfile.TemporaryDirectory()
        self.data = os.path.join(self.folder.name, "data")

    def __enter__(self) -> "Server":
        self.port = free_port()
        self.start()
        return self

    def start(self) -> None:
        address = f"127.0.0.1:{self.port}"
        command = [self.binary, "serve", "--listen", address, "--data", self.data, "--demo", *self.arguments]
        self.log = open(os.path.join(self.folder.name, "server.log"), "ab")
        self.process = subprocess.Popen(command, env=self.env, stdout=self.log, stderr=self.log)
        self.wait()

    def wait(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.output()}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/health", timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"the server did not become healthy:\n{self.output()}")

    def kill(self) -> None:
        """Ends it as a power cut of the process would."""
        self.process.kill()
        self.process.wait()

    def output(self) -> str:
        with open(os.path.join(self.folder.name, "server.log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def url(self, session: str) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/{session}"

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()
        self.folder.cleanup()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
