"""What axe-core says of every page and of the tour: nothing serious. (The page Learn: tests/ui/test_learn.py.)"""

from pathlib import Path

import pytest

from tests.ui.test_app_pages import PAGES, turn_to

RUN = "axe.run(document, {resultTypes: ['violations']})"


def serious(page) -> list[tuple]:
    """Rule, element and its HTML of every serious finding."""
    if page.evaluate("typeof axe") == "undefined":
        package = pytest.importorskip("axe_playwright_python")
        page.evaluate((Path(package.__file__).parent / "axe.min.js").read_text())
    bad = (found for found in page.evaluate(RUN)["violations"] if found["impact"] in ("serious", "critical"))
    return [(found["id"], node["target"], node["html"][:120]) for found in bad for node in found["nodes"]]


@pytest.mark.parametrize("width, height, theme", [(1440, 900, "light"), (390, 844, "dark")])
def test_no_serious_finding(browser, app, width, height, theme):
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(f"{app}?__theme={theme}")
    page.wait_for_selector(".card.negcut img")
    assert serious(page) == []
    for name in PAGES:
        turn_to(page, name)
        assert serious(page) == [], name
    page.get_by_role("tab", name="About", exact=True).click()
    page.wait_for_selector("#about table[tabindex]")  # those that may scroll can be reached
    assert serious(page) == []
    page.locator("#to-tour").click()
    for number in range(1, 7):
        page.wait_for_selector(f"#step-{number}.now .band .columns", timeout=40000)
        assert serious(page) == [], number
        page.locator("#tour .next").click()
    page.close()
