"""Where things lie: the repository, the data folder, and the cache outside git."""

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
REPOSITORY = HERE.parent.parent


@dataclass(frozen=True)
class Paths:
    """Folders of one run."""

    data: Path
    cache: Path
    size: str
    """`tiny`, whose weights are real, or `base`, whose weights are random."""

    @property
    def trained(self) -> Path:
        """The model with real weights."""
        return self.data / "openai-whisper-tiny.en"

    @property
    def model(self) -> Path:
        """The model that every engine's files are made of."""
        return self.trained if self.size == "tiny" else self.converted / "model"

    @property
    def header(self) -> Path:
        """A whisper.cpp file of that model's size without tensors."""
        return self.data / "whisper-ggml-headers" / f"for-tests-ggml-{self.size}.en.bin"

    @property
    def converted(self) -> Path:
        """The model in the engines' own formats."""
        return self.cache / "models" / f"{self.size}.en"

    @property
    def clips(self) -> Path:
        """Samples and features of the clips."""
        return self.cache / "clips"

    @property
    def python(self) -> Path:
        """Interpreter of the virtual environment."""
        return self.cache / "venv" / "bin" / "python"

    def build(self, name: str) -> Path:
        """Target folder of a build of the workers."""
        return self.cache / f"build-{name}"

    def binary(self, build: str, name: str) -> Path:
        """A program of a build."""
        return self.build(build) / "release" / name
