"""The built site in a browser: no error, nothing wider than the page, no image without a text, filters that filter."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.site
SITE = Path(__file__).resolve().parents[1] / "site"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PAGES = (
    "",
    "scoreboard/",
    "languages/",
    "papers/",
    "papers/that-merge/",
    "papers/shelf-evaluation/",
    "papers/mexa/",
    "papers/neobabel/",
    "papers/sinhala_alignment/",
    "papers/transmi/method.py/",
    "papers/bimedix/method.py/",
    "papers/taco/data.py/",
    "guide/speed/",
    "reference/training/",
)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None or not SITE.exists() or find_spec("playwright") is None:
        # Where these tests are what was asked for, a run of nothing is not a pass.
        stop = pytest.fail if os.environ.get("SITE_TESTS") == "required" else pytest.skip
        stop("needs Chromium, playwright and a built site: nox -s site")
    from playwright import sync_api

    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_pages(browser: Any, address: str, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: errors.append(request.url))
    for path in PAGES:
        page.goto(address + path)
        page.wait_for_load_state("networkidle")
        assert errors == [], path
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, (path, wide)
        bare = page.evaluate("[...document.images].filter(image => !image.alt.trim()).map(image => image.src)")
        assert bare == [], path
        # One of the pair is shown, in the scheme that the reader prefers.
        shown = page.evaluate(
            "[...document.querySelectorAll('img.light, img.dark')].filter(i => i.offsetParent).length"
        )
        pairs = page.evaluate("document.querySelectorAll('img.dark').length")
        assert shown == pairs, path
    page.close()


def test_the_scoreboard_is_filtered_and_sorted(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(address + "scoreboard/?outcome=contradicted")
    rows = "[...document.querySelectorAll('tbody tr')].filter(row => !row.hidden)"
    outcomes = page.evaluate(rows + ".map(row => row.dataset.outcome)")
    assert outcomes
    assert set(outcomes) == {"contradicted"}
    page.select_option("[data-filter=outcome]", "")
    assert "outcome" not in page.url
    assert page.evaluate(rows + ".length") > len(outcomes)
    page.click("th:has-text('difference')")
    values = page.evaluate(rows + ".map(row => row.children[5].dataset.sort).filter(value => value).map(Number)")
    assert values == sorted(values)
    page.close()


def test_every_paper_of_a_shelf_is_in_the_menu(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(address + "papers/shelf-evaluation/")
    cards = page.evaluate("[...document.querySelectorAll('.gallery .whole')].map(link => link.href)")
    menu = page.evaluate("[...document.querySelectorAll('.md-nav--primary a')].map(link => link.href)")
    assert len(cards) > 1
    assert set(cards) <= set(menu)
    page.close()


def test_a_result_is_cited_by_its_address_here(browser: Any, address: str) -> None:
    page = browser.new_page()
    page.goto(address + "papers/mexa/")
    cited = page.evaluate("[...document.querySelectorAll('.cite code')].map(code => code.textContent)")
    assert cited
    assert all(f"{address}papers/mexa/#" in text for text in cited)
    badge = next(text for text in cited if text.startswith("[![")).split("](")[1].split(")")[0]
    assert "<svg" in page.request.get(badge).text()
    page.close()


def test_search_finds_the_paper_before_its_sources(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(address)
    page.fill(".md-search__input", "transmi")
    page.wait_for_selector(".md-search-result__link")
    first = page.get_attribute(".md-search-result__link >> nth=0", "href")
    assert "/papers/transmi/" in first
    assert "method.py" not in first
    page.close()
