"""What has been shown so far, a line at a time."""

import time


class Report:
    def __init__(self):
        self.passed = self.failed = 0
        self.started = time.monotonic()

    def add(self, name, problem):
        if problem:
            self.failed += 1
            print(f"FAILED: {name}: {problem}", flush=True)
        else:
            self.passed += 1
            print(f"ok: {name}", flush=True)

    def note(self, words):
        print(f"-- {time.monotonic() - self.started:5.1f} s: {words}", flush=True)

    def end(self):
        """Says what it comes to, as tests/run reads it; the exit code."""
        self.note("over")
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0
