"""The four tasks through the page: what is drawn and said, judged by code."""

from PIL import Image, ImageStat
from playwright.sync_api import expect

from tests.playground.driver import GOOD, QUICK, TIMEOUT_MS, Playground, png
from training.judge.pictures import judge_picture
from training.world.render import render
from training.world.scene import Backdrop, Color, Kind, Scene, Thing

expect.set_options(timeout=TIMEOUT_MS)


def scene(color: Color, kind: Kind) -> Scene:
    thing = Thing(kind=kind, color=color, x=0.5, y=0.5, size=0.36, seed=1)
    return Scene(things=(thing,), backdrop=Backdrop(seed=1, color=Color.WHITE))


def strongest_channel(image: Image.Image) -> str:
    """Of the middle: red, green or blue."""
    side = min(image.size) // 8
    box = (image.width // 2 - side, image.height // 2 - side, image.width // 2 + side, image.height // 2 + side)
    means = ImageStat.Stat(image.convert("RGB").crop(box)).mean
    return "RGB"[means.index(max(means))]


def test_a_picture_is_drawn_with_steps_and_previews_and_then_made_blue(playground: Playground) -> None:
    page = playground.page
    page.evaluate("""() => {
        window.seen = {steps: new Set(), previews: new Set()};
        new MutationObserver(() => {
            seen.steps.add(document.getElementById('steps').textContent);
            for (const image of document.querySelectorAll('#previews img')) seen.previews.add(image.src);
        }).observe(document.getElementById('current'), {subtree: true, childList: true, attributes: true});
    }""")
    playground.enter("Text to picture", "A red circle on a white background", **GOOD)
    result = playground.run()
    image, name = playground.saved(result)
    assert image.size == (256, 256)
    assert strongest_channel(image) == "R"
    verdict = judge_picture(image.convert("RGB"), scene(Color.RED, Kind.CIRCLE))
    assert verdict.ok, verdict.reasons
    assert name == "bagel-7-1.png"
    expect(result).to_contain_text("seed 7")
    expect(result).to_contain_text("256 × 256")
    steps, previews = page.evaluate("[[...seen.steps], seen.previews.size]")
    assert "Step 15 of 15" in steps
    # Three on the way, and the picture itself.
    assert previews >= 3

    result.get_by_role("button", name="Edit this").click()
    expect(page.get_by_label("Edit a picture")).to_be_checked()
    expect(page.get_by_role("list", name="Chosen pictures").get_by_role("img", name=name)).to_be_visible()
    playground.enter("Edit a picture", "Make the circle blue", **GOOD)
    edited, _ = playground.saved(playground.run())
    assert edited.size == (256, 256)
    assert strongest_channel(edited) == "B"


def test_a_dropped_picture_is_edited(playground: Playground) -> None:
    playground.drop(render(scene(Color.RED, Kind.CIRCLE), 256, 256), "circle.png")
    # Where no picture is taken, a dropped one chooses the task that takes it.
    expect(playground.page.get_by_label("Edit a picture")).to_be_checked()
    playground.enter("Edit a picture", "Make the circle green", **GOOD)
    edited, _ = playground.saved(playground.run())
    assert edited.size == (256, 256)
    assert strongest_channel(edited) == "G"


def test_a_pasted_picture_is_asked_about(playground: Playground) -> None:
    playground.enter("Ask about a picture", "What color is the star?")
    playground.page.locator("#prompt").focus()
    playground.paste(render(scene(Color.GREEN, Kind.STAR), 256, 256))
    expect(playground.run()).to_contain_text("green")
    playground.page.get_by_role("button", name="Remove pasted-1.png").click()
    expect(playground.page.locator("#pictures img")).to_have_count(0)


def test_a_thought_stands_apart_from_the_answer_and_before_the_picture(playground: Playground) -> None:
    playground.page.get_by_label("Think first").check()
    playground.enter("Text to text", "What is the capital of France?")
    result = playground.run()
    expect(result.locator(":scope > .answer")).to_have_text("The capital of France is Paris.")
    expect(result.locator("details .answer")).not_to_be_empty()
    playground.enter("Text to picture", "A red circle", **QUICK)
    drawn = playground.run()
    assert playground.saved(drawn)[0].size == (64, 64)
    expect(drawn.locator("details .answer")).to_contain_text("red circle")


def test_each_of_several_pictures_tells_the_settings_that_make_it_again(playground: Playground) -> None:
    playground.enter("Text to picture", "A red circle", **QUICK, n="2", output_format="webp")
    second = playground.run()
    expect(playground.results).to_have_count(2)
    expect(second).to_have_attribute("data-seed", "6")
    made, _ = playground.saved(second)
    playground.enter("Text to text", "Something else")
    second.get_by_role("button", name="Use these settings").click()
    expect(playground.page.get_by_label("Prompt", exact=True)).to_have_value("A red circle")
    expect(playground.page.get_by_label("Seed")).to_have_value("6")
    again, _ = playground.saved(playground.run())
    expect(playground.results).to_have_count(3)
    assert png(again) == png(made)


def test_a_seed_that_was_not_given_is_told(playground: Playground) -> None:
    playground.enter("Text to picture", "A red circle", **{**QUICK, "seed": ""})
    assert int(playground.run().get_attribute("data-seed") or "") >= 0
