"""The page itself: where it comes from, what its policy lets happen, what it asks the server, and who can use it."""

import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from PIL import ImageStat
from playwright.sync_api import Browser, Route, expect

from tests.e2e.server import Server
from tests.playground.driver import QUICK, TIMEOUT_MS, Playground, context_options, opened
from tests.playground.screenshots import MOST_BYTES, take

expect.set_options(timeout=TIMEOUT_MS)
AXE = "4.14.1"


@pytest.fixture(scope="session")
def axe(pytestconfig: pytest.Config) -> str:
    """The source of axe-core, kept in pytest's own cache."""
    folder: Path = pytestconfig.cache.mkdir(f"axe-core-{AXE}")
    source = folder / "package" / "axe.min.js"
    if not source.exists():
        if shutil.which("npm") is None:
            pytest.skip("no npm to get axe-core with")
        try:
            got = subprocess.run(
                ["npm", "pack", "--silent", f"axe-core@{AXE}"], cwd=folder, capture_output=True, text=True, timeout=60
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm does not get axe-core {AXE} in time")
        if got.returncode:
            pytest.skip(f"npm cannot get axe-core {AXE}: {got.stderr.strip()[-200:]}")
        with tarfile.open(folder / f"axe-core-{AXE}.tgz") as archive:
            archive.extractall(folder, filter="data")
    return source.read_text()


def violations(playground: Playground, axe: str) -> list[str]:
    """What axe-core finds serious or worse, each with the elements at fault."""
    playground.page.evaluate(axe)
    found: dict[str, Any] = playground.page.evaluate("axe.run()")
    assert len(found["passes"]) > 15, "axe-core looked at nothing"
    return [
        f"{one['id']}: {[node['html'][:200] for node in one['nodes']]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_core_finds_nothing_serious(browser: Browser, shared_server: Server, axe: str, scheme: Any) -> None:
    with browser.new_context(**context_options(color_scheme=scheme)) as context:
        playground = Playground(context.new_page(), shared_server)
        playground.open()
        playground.page.get_by_label("Think first").check()
        playground.enter("Text to picture", "A red circle", **QUICK)
        playground.run().get_by_role("button", name="Edit this").click()
        playground.enter("Edit a picture", " ")
        playground.page.locator("#run").click()
        expect(playground.page.get_by_role("alert")).not_to_be_empty()
        playground.page.locator("#access > summary").click()
        assert violations(playground, axe) == []


def test_the_page_can_be_used_without_a_mouse(playground: Playground) -> None:
    page, names = playground.page, []
    for _ in range(60):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        if names[-1] == "run":
            break
    wanted = ["Skip to the prompt", "theme", "prompt", "think", "setting-width", "setting-seed", "run"]
    assert [name for name in names if name in wanted] == wanted
    page.locator('input[value="text2img"]').focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Edit a picture")).to_be_checked()
    page.keyboard.press("ArrowLeft")
    page.locator("#prompt").focus()
    page.keyboard.type("A red circle")
    for name, value in QUICK.items():
        playground.enter("Text to picture", "A red circle", **{name: value})
    page.locator("#prompt").focus()
    page.keyboard.press("Control+Enter")
    expect(playground.results).to_have_count(1)
    expect(page.locator("#status")).to_have_text("Done")


def test_the_theme_follows_the_system_until_it_is_chosen_and_the_choice_stays(playground: Playground) -> None:
    page = playground.page
    brightness = (
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"
    )
    page.emulate_media(color_scheme="light")
    assert page.evaluate(brightness) > 600
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(brightness) < 150
    page.locator("#theme").click()
    assert page.evaluate(brightness) > 600
    page.reload()
    assert page.evaluate(brightness) > 600
    expect(page.locator("#theme")).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_everything_without_scrolling_sideways(playground: Playground, width: int) -> None:
    page = playground.page
    page.set_viewport_size({"width": width, "height": 700})
    playground.enter("Text to picture", "A" * 300, **QUICK)
    playground.run().get_by_role("button", name="Edit this").click()
    page.locator("#access > summary").click()
    wide = page.evaluate("""(most) => [...document.querySelectorAll('body *:not(.skip, option)')]
        .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > most).map((one) => one.outerHTML)
    """, width)  # fmt: skip
    assert wide == []
    small = page.evaluate("""() => [...document.querySelectorAll('button, select, input:not([type=checkbox])')]
        .filter((one) => one.type !== 'radio' && one.checkVisibility())
        .filter((one) => one.getBoundingClientRect().height < 24).map((one) => one.outerHTML)""")
    assert small == []


def test_settings_are_those_that_the_server_tells_with_their_bounds(playground: Playground) -> None:
    page = playground.page

    def told(route: Route) -> None:
        model = route.fetch().json()
        settings = model["settings"]["/v1/images/generations"]
        settings["sharpness"] = {"type": "number", "minimum": 0.5, "maximum": 3, "description": "A new one."}
        del settings["timestep_shift"]
        settings["cfg_text_scale"]["anyOf"][0]["maximum"] = 7
        model["defaults"] = {"text2img": {"cfg_text_scale": 2.5, "cfg_interval": [0.3, 0.9]}}
        route.fulfill(json=model)

    page.route("**/v1/models/toy", told)
    page.reload()
    page.locator("#run:enabled").wait_for()
    page.locator("#more > summary").click()
    sharpness = page.get_by_label("Sharpness")
    expect(sharpness).to_have_attribute("min", "0.5")
    expect(sharpness).to_have_attribute("max", "3")
    expect(page.locator("#setting-cfg_text_scale")).to_have_attribute("max", "7")
    expect(page.locator("#setting-cfg_text_scale")).to_have_attribute("placeholder", "2.5")
    expect(page.locator("#setting-cfg_interval-to")).to_have_attribute("placeholder", "0.9")
    expect(page.locator("#setting-timestep_shift")).to_have_count(0)
    # Each task has its own: a text has no guidance, and a picture without a thought no temperature.
    expect(page.locator("#setting-temperature")).to_have_count(0)
    page.get_by_label("Text to text").check()
    expect(page.locator("#setting-temperature")).to_have_attribute("max", "2")
    expect(page.locator("#setting-cfg_text_scale")).to_have_count(0)


def test_the_policy_stops_inline_scripts_other_hosts_and_markup_from_texts(unwatched: Playground) -> None:
    stopped = unwatched.page.evaluate("""async () => {
        const seen = [];
        document.addEventListener('securitypolicyviolation', (event) => seen.push(event.effectiveDirective));
        const script = document.createElement('script');
        try { script.textContent = 'window.ran = true'; document.head.append(script); } catch { /* refused at once */ }
        const style = document.createElement('style');
        style.textContent = 'body { display: none }';
        document.head.append(style);
        await fetch('http://localhost:9/').catch(() => null);
        const image = new Image();
        image.src = 'http://localhost:9/a.png';
        let markup = true;
        try { document.body.innerHTML = '<b>x</b>'; } catch { markup = false; }
        await new Promise((resolve) => setTimeout(resolve, 200));
        return {ran: window.ran === true, markup, seen};
    }""")
    assert (stopped["ran"], stopped["markup"]) == (False, False)
    assert {"style-src-elem", "connect-src", "img-src"} <= set(stopped["seen"])
    assert any(name.startswith(("script-src", "require-trusted")) for name in stopped["seen"])


def test_what_a_model_writes_is_a_text_and_never_markup(playground: Playground) -> None:
    prompt = "<img src=x onerror=alert(1)><b>bold</b>"
    playground.enter("Text to text", prompt, max_tokens="4")
    result = playground.run()
    expect(result.get_by_role("heading")).to_have_text(prompt)
    assert result.locator("b, img").count() == 0


def test_screenshots_are_small_and_as_bright_as_their_theme(
    browser: Browser, shared_server: Server, tmp_path: Path
) -> None:
    paths = take(browser, shared_server, tmp_path, **QUICK)
    assert {path.stem for path in paths} == {"light", "dark", "phone"}
    for path in paths:
        assert path.stat().st_size < MOST_BYTES
        corner = opened(path).convert("L").crop((0, 300, 8, 600))
        assert (ImageStat.Stat(corner).mean[0] < 60) == (path.stem == "dark"), path
