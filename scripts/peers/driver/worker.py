"""A contender's process: started once, asked many times."""

import json
import os
import subprocess
from types import TracebackType

from .contenders import Contender

Answer = dict[str, object]


class Worker:
    """A running engine. Between its turns it waits for input and takes no processor time."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.process = subprocess.Popen(
            contender.command,
            env=os.environ | contender.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.engine = str(self._read()["engine"])

    def ask(self, clip: str, part: str) -> Answer:
        """One measurement."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"clip": clip, "part": part}) + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> Answer:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.contender.name} ended: exit code {self.process.wait()}")
        return json.loads(line)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
