"""A run that is cancelled in the page stops on the server, and what goes wrong is told where it went wrong."""

import pytest
from playwright.sync_api import expect

from tests.playground.driver import QUICK, TIMEOUT_MS, Playground

expect.set_options(timeout=TIMEOUT_MS)
LONG = {"num_inference_steps": "1000", "width": "256", "height": "256", "seed": "3"}


@pytest.mark.parametrize("how", ["button", "escape"])
def test_cancelling_stops_the_work_by_its_id_and_the_page_goes_on(playground: Playground, how: str) -> None:
    page = playground.page
    playground.enter("Text to picture", "A red circle", **LONG)
    page.locator("#run").focus()
    page.keyboard.press("Enter")
    page.locator("#steps", has_text="Step").wait_for()
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    with page.expect_response(lambda response: response.request.method == "DELETE") as deleted:
        if how == "button":
            page.get_by_role("button", name="Cancel").click()
        else:
            page.keyboard.press("Escape")
    assert deleted.value.status == 200
    assert "/v1/requests/page-" in deleted.value.url
    # Most of the steps were still to come.
    playground.server.wait_idle()
    expect(page.locator("#run")).to_be_visible()
    expect(page.locator("#run")).to_be_focused()
    expect(page.locator("#current")).to_be_hidden()
    expect(page.locator("#problem")).to_be_empty()
    expect(playground.results).to_have_count(0)
    playground.enter("Text to picture", "A red circle", **QUICK)
    playground.run()


def test_leaving_the_page_stops_the_work(playground: Playground) -> None:
    playground.enter("Text to picture", "A red circle", **LONG)
    playground.page.locator("#run").click()
    playground.page.locator("#steps", has_text="Step").wait_for()
    playground.page.goto("about:blank")
    playground.server.wait_idle()


def test_a_refused_setting_is_told_with_its_name_and_gets_the_focus(unwatched: Playground) -> None:
    page = unwatched.page
    unwatched.enter("Text to picture", "A red circle", **QUICK)
    page.get_by_label("from", exact=True).fill("0.9")
    page.get_by_label("to", exact=True).fill("0.1")
    page.locator("#run").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("cfg_interval")
    expect(page.get_by_label("from", exact=True)).to_be_focused()
    expect(page.get_by_label("from", exact=True)).to_have_attribute("aria-invalid", "true")
    # The browser's own word about a 400, and no other.
    assert [problem for problem in unwatched.problems if "status of 400" not in problem] == []
    page.get_by_label("to", exact=True).fill("1")
    unwatched.run()
    expect(alert).to_be_empty()


def test_what_is_out_of_the_servers_bounds_is_not_sent(playground: Playground) -> None:
    playground.enter("Text to picture", "A red circle", **{**QUICK, "num_inference_steps": "1001"})
    playground.page.locator("#more > summary").click()
    playground.page.locator("#run").click()
    expect(playground.page.locator("#setting-num_inference_steps")).to_be_focused()
    assert not [request for request in playground.requests if request.method == "POST"]


def test_a_task_without_its_picture_says_so(playground: Playground) -> None:
    playground.enter("Edit a picture", "Make it blue")
    playground.page.locator("#run").click()
    expect(playground.page.get_by_role("alert")).to_contain_text("Choose a picture first")
    expect(playground.page.locator("#files")).to_be_focused()
