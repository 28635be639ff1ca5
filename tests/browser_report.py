"""Pages of `joulegrad report` in headless Chromium: all is drawn, the console is empty, nothing is fetched, nothing is too wide.

Run as `make browser-test`, or `python tests/browser_report.py [PAGE...] [--screenshots FOLDER]`; without pages it makes its own.
Needs Debian's chromium and chromium-driver and the package selenium.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

WIDTHS = (1280, 400)
SCHEMES = ("light", "dark")
DRAWN_S = 60
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-default-apps", "--hide-scrollbars", "--force-device-scale-factor=1",
)  # fmt: skip


def missing() -> str:
    """Return what is missing to run this and how to get it, "" where nothing is."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if absent:
        return f"{' and '.join(absent)} not found: install them with apt-get install chromium chromium-driver"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed: pip install 'joulegrad[browser]'"
    return ""


@contextmanager
def browser(folder: Path):
    """Give a driver of a Chromium with a profile of its own."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def check(driver, page: Path, width: int, scheme: str, picture: Path | None) -> list[str]:
    """Open a page and return what is wrong with it, one sentence each."""
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600})  # fmt: skip
    driver.get("about:blank")  # what the browser's own first page asks for is not the report's
    for kind in ("browser", "performance"):
        driver.get_log(kind)
    driver.get(page.resolve().as_uri())
    wanted = {key: len(figure["views"][0]["data"]) for key, figure in figures_of(page).items()}
    end = time.monotonic() + DRAWN_S
    while driver.execute_script("return document.documentElement.dataset.drawn") is None and time.monotonic() < end:
        time.sleep(0.1)
    wrong = []
    for key, traces in wanted.items():
        found = driver.execute_script(
            "const e = document.getElementById(arguments[0]);"
            "return [e.querySelectorAll('svg.main-svg').length, (e.data || []).length, (e._fullData || []).filter("
            "t => t.visible === true).length, e.getBoundingClientRect().width]", key)  # fmt: skip
        if not found[0] or found[1] != traces or found[2] != traces or not found[3]:
            wrong.append(f"figure {key} has {found[0]} drawings and shows {found[2]} of {traces} traces")
    wide = driver.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        wrong.append(f"the page is {wide} pixels wider than the screen")
    wrong += [f"console: {entry['message']}" for entry in driver.get_log("browser")]
    wrong += [
        f"request leaves the page: {url}"
        for url in requests(driver)
        if not url.startswith(("data:", "blob:", page.resolve().as_uri()))
    ]
    if picture is not None:
        whole = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png", "clip": {
            "x": 0, "y": 0, "width": width, "height": driver.execute_script("return document.documentElement.scrollHeight"),
            "scale": 1}})  # fmt: skip
        picture.write_bytes(base64.b64decode(whole["data"]))
    return wrong


def made(folder: Path) -> list[Path]:
    """Write runs and pages on them: one run, one with a gap, one whose names are hostile, and several in one."""
    from report_runs import HOSTILE, bench_run, measured_run

    from joulegrad.report import run_report
    from joulegrad.screen import Screen

    runs = {
        "bench": bench_run(folder / "bench", ("sim", "sim?refresh_s=0.001&kind=point")),
        "gap": measured_run(folder / "gap", hole=True),
        "hostile": measured_run(folder / "hostile", HOSTILE, HOSTILE),
    }
    screen, pages = Screen(as_json=False), []
    for name, named in {**{name: [run] for name, run in runs.items()}, "several": list(runs.values())}.items():
        run_report(named, folder / f"{name}.html", screen)
        pages.append(folder / f"{name}.html")
    return pages


def figures_of(page: Path) -> dict:
    """Return the figures that a page holds."""
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    return json.loads(found.group(1))


def requests(driver) -> list[str]:
    """Return the addresses that were asked for since the log was read last."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]


def main() -> int:
    """Check the pages and say what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--screenshots", type=Path, help="folder for pictures of the pages")
    asked = parser.parse_args()
    if why := missing():
        print(f"the report cannot be checked: {why}", file=sys.stderr)
        return 1
    failed = 0
    with tempfile.TemporaryDirectory() as temporary, browser(Path(temporary)) as driver:
        for page in asked.pages or made(Path(temporary)):
            for width in WIDTHS:
                for scheme in SCHEMES:
                    picture = asked.screenshots / f"{page.stem}-{width}-{scheme}.png" if asked.screenshots else None
                    wrong = check(driver, page, width, scheme, picture)
                    failed += bool(wrong)
                    print(f"{page.name}, {width} pixels, {scheme}: {'; '.join(wrong) or 'as it should be'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
