"""A hub of our own: a binary of TaskHub, on a port of its own and with data of its own."""

import json
import subprocess
import time

START_SECONDS = 20
STOP_SECONDS = 10


class Failed(Exception):
    """What went wrong, in words."""


class Hub:
    """A hub that runs. `token` is None when the hub asks for none."""

    def __init__(self, binary, directory, guarded):
        directory.mkdir()
        self.binary = binary
        data = directory / "data"
        self.token = make_token(binary, data) if guarded else None
        self.log = directory / "hub.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [binary, "--listen", "127.0.0.1:0", "--data-dir", data, "--log-format", "json"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.base = self.learn_address()
        except Failed:
            self.stop()
            raise
        self.url = f"{self.base}/mcp"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def learn_address(self):
        """The first line with a `board` in the log tells the address. The hub writes it when it listens."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for line in self.log.read_text().splitlines():
                if '"board"' in line:
                    return json.loads(line)["board"].rstrip("/")
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise Failed(f"the hub did not start:\n{self.log.read_text()[-2000:]}")

    def bridge(self):
        """The command that speaks MCP over stdio for this hub. The token goes in by TASKHUB_TOKEN."""
        return [str(self.binary), "mcp", "--url", self.base]

    def environment(self):
        return {"TASKHUB_TOKEN": self.token} if self.token else {}

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def make_token(binary, data):
    made = subprocess.run(
        [binary, "token", "create", "--name", "mcp", "--scope", "exec", "--data-dir", data],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_SECONDS)
    if made.returncode:
        raise Failed(f"no token was made: {made.stderr}")
    return made.stdout.strip()
