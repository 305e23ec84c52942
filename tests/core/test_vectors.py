import gzip
from pathlib import Path

import numpy as np
import pytest

from core.corpora import vectors
from core.corpora.vectors import read_vectors, write_vectors
from core.errors import UserError
from core.files import cache_dir

TEXT = b"3 2\nthe 0.5 -1\n\xe0\xb6\x94\xe0\xb6\xba\xe0\xb7\x8f 1e-3 2 \nthe 9 9\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.vec"
    path.write_bytes(TEXT)
    return path


def test_words_are_read_once_and_as_they_are(path: Path, tmp_path: Path) -> None:
    words, found = read_vectors(path)
    assert words == ["the", "ඔයා"]
    assert found.tolist() == [[0.5, -1.0], [np.float32(1e-3), 2.0]]
    packed = tmp_path / "a.vec.gz"
    packed.write_bytes(gzip.compress(TEXT))
    assert read_vectors(packed).words == words
    path.write_bytes(TEXT.partition(b"\n")[2].replace(b"\n", b"\r\n"))  # no first line, other line ends
    assert read_vectors(path).vectors.tolist() == found.tolist()


def test_what_is_mapped_is_no_file_of_the_user_and_leaves_none(path: Path) -> None:
    before = {file.name for file in cache_dir().iterdir()} if cache_dir().exists() else set()
    _, found = read_vectors(path)
    assert isinstance(found, np.memmap)
    found[:] = 0
    assert path.read_bytes() == TEXT
    assert {file.name for file in cache_dir().iterdir()} - before == set()


def test_only_the_first_words_are_read(path: Path) -> None:
    path.write_bytes(TEXT + b"broken line\n")
    assert read_vectors(path, most=1).words == ["the"]
    with pytest.raises(UserError, match="line 5: a word and 2 finite numbers"):
        read_vectors(path)


def test_an_odd_word_keeps_its_place(path: Path) -> None:
    path.write_bytes(b"a b 1 2\n\xff 3 4\n")
    with pytest.raises(UserError, match="line 1: a word and 3 finite"):
        read_vectors(path)
    path.write_bytes(b"2 2\na b 1 2\n\xff 3 4\n")
    assert read_vectors(path).words == ["a b", "�"]


def test_vectors_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "ROWS", 2)
    words, found = ["a", "ඔයා", "c\N{NO-BREAK SPACE}d"], np.array([[0.12345, 1.0], [-2.0, 3.0], [0.0, 1.5]])
    write_vectors(tmp_path / "b.vec", words, found)
    again = read_vectors(tmp_path / "b.vec")
    assert again.words == words
    assert again.vectors == pytest.approx(found, abs=5e-5)
    with pytest.raises(UserError, match="no white space"):
        write_vectors(tmp_path / "c.vec", ["a b"], found[:1])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no vectors"),
        (b"2 2\n", "holds no vectors"),
        (b"a nan 1\n", "line 1: a word and 2 finite"),
        (b"a\n", "line 1: a word and 1 finite"),
        (b"2 3\na 1 2\n", "line 2: a word and 3 finite"),
    ],
)
def test_a_broken_file_is_one_sentence(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.vec").write_bytes(content)
    with pytest.raises(UserError, match=words):
        read_vectors(tmp_path / "a.vec")
    (tmp_path / "a.vec.gz").write_bytes(content)
    with pytest.raises(UserError, match="no whole gzip" if content else "no vectors|not gzip"):
        read_vectors(tmp_path / "a.vec.gz")
