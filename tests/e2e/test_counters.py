"""What was computed for a request: nothing twice, nothing for nothing."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import Server, picture, read_picture, running_server, scene, text, user

SMALL: dict[str, Any] = {"modalities": ["image"], "height": 128, "width": 128, "seed": 1}
EDIT: dict[str, Any] = {
    **SMALL, "messages": user(picture(scene(90, 60)), text("Make it red")), "num_inference_steps": 5,
}  # fmt: skip


def work(server: Server, **body: Any) -> dict[str, Any]:
    figures: dict[str, Any] = server.answer(**{**SMALL, **body})["bagel"]
    assert figures["work"]["blocks"] == figures["work"]["planned_blocks"]
    transfer = figures["transfer"]
    # Looked at where they lie, or each moved once.
    assert transfer["bytes"] == {"shm": 0, "zeromq": transfer["unique_bytes"]}[transfer["transport"]]
    assert transfer["pages"] == transfer["unique_pages"]
    return figures["work"] | {"pages": transfer["pages"]}


def guided_steps(points: int, shift: float, low: float, high: float) -> tuple[int, int]:
    """Steps inside and outside the interval."""
    times = [1 - i / (points - 1) for i in range(points - 1)]
    shifted = [shift * t / (1 + (shift - 1) * t) for t in times]
    inside = sum(low < t <= high for t in shifted)
    return inside, len(shifted) - inside


def test_an_edit_runs_vit_and_vae_once_and_three_forwards_a_step(server: Server) -> None:
    body = {"messages": user(picture(scene(90, 60)), text("Make it red")), "num_inference_steps": 5}
    done = work(server, **body)
    assert (done["vit_passes"], done["vae_passes"]) == (1, 1)
    # VAE, ViT, text; and the text once more for the chain without the picture.
    assert done["blocks"] == 4
    assert done["forwards"] == 3 * 4


def test_a_guided_text2img_step_is_two_forwards_and_one_outside_the_interval(server: Server) -> None:
    inside, outside = guided_steps(20, 3.0, 0.4, 1.0)
    assert inside
    assert outside
    done = work(server, messages=user("A cute cat"), num_inference_steps=20)
    assert done["blocks"] == 1
    assert done["forwards"] == 2 * inside + outside


@pytest.mark.parametrize(
    ("settings", "forwards"),
    [({"cfg_text_scale": 1.0}, 4), ({"cfg_img_scale": 1.0}, 8), ({"cfg_interval": [0.0, 1.0]}, 8)],
)
def test_branches_that_guidance_does_not_need_are_not_run(
    server: Server, settings: dict[str, Any], forwards: int
) -> None:
    interval = {"cfg_interval": [0.0, 1.0]}
    done = work(server, messages=user("A cute cat"), num_inference_steps=5, **{**interval, **settings})
    assert done["forwards"] == forwards


def test_an_edit_without_image_guidance_needs_no_second_chain(server: Server) -> None:
    body = {"messages": user(picture(scene(90, 60)), text("Make it red")), "num_inference_steps": 3}
    assert work(server, **body, cfg_img_scale=1.0)["blocks"] == 3


def test_a_thought_is_computed_once_more_as_text_and_for_gen_only(server: Server) -> None:
    body = {"messages": user("A cat"), "num_inference_steps": 3, "think": True, "max_think_tokens": 5}
    done = work(server, **body)
    # System prompt, text, thought.
    assert done["blocks"] == 3
    assert done["decode_steps"] == 5
    # Inside the interval: gen, cfg_text and cfg_img differ, since gen alone holds the thought.
    assert done["forwards"] == 3 * 2


def test_a_negative_prompt_is_one_more_block_after_the_shared_picture(server: Server) -> None:
    body = {"messages": user(picture(scene(90, 60)), text("Make it red")), "num_inference_steps": 3}
    done = work(server, **body, negative_prompt="blurry")
    assert done["blocks"] == 5
    assert (done["vit_passes"], done["vae_passes"]) == (1, 1)
    assert done["page_copies"] >= 1


def test_a_text_answer_never_runs_the_vae(server: Server) -> None:
    answer = server.answer(messages=user(picture(scene(90, 60)), text("What is it?")), max_tokens=3)
    assert answer["bagel"]["work"]["vae_passes"] == 0
    assert answer["bagel"]["work"]["vit_passes"] == 1
    assert answer["bagel"]["work"]["decode_steps"] == answer["usage"]["completion_tokens"] == 3


def test_settings_that_mean_nothing_for_a_task_are_named(server: Server) -> None:
    answer = server.answer(messages=user("Hi"), max_tokens=2, height=512, width=512, num_inference_steps=25)
    assert answer["bagel"]["ignored"] == ["height", "num_inference_steps", "width"]


def deploy_file(folder: Path, connector: str) -> str:
    """A deploy file whose two stages use one connector."""
    path = folder / "deploy.yaml"
    path.write_text(
        f"connectors: {{way: {connector}}}\n"
        "stages:\n"
        "  - {stage_id: 0, output_connectors: {to_stage_1: way}}\n"
        "  - {stage_id: 1, input_connectors: {from_stage_0: way}}\n"
    )
    return str(path)


@pytest.mark.parametrize(
    ("connector", "name", "moves"),
    [
        ("{name: SharedMemoryConnector, extra: {verify: always}}", "shm", False),
        ("{name: ZeroMQConnector, extra: {shm_threshold_bytes: 0}}", "zeromq", True),
    ],
)
def test_every_way_on_one_host_draws_the_same_picture(
    server: Server, tmp_path: Path, connector: str, name: str, moves: bool
) -> None:
    expected = server.answer(**EDIT)
    with running_server("--load-format", "dummy", "--deploy-config", deploy_file(tmp_path, connector)) as other:
        answer = other.answer(**EDIT)
        other.wait_idle()
    transfer = answer["bagel"]["transfer"]
    assert transfer["transport"] == name
    assert transfer["bytes"] == (transfer["unique_bytes"] if moves else 0)
    assert transfer["gb_per_s"] == pytest.approx(transfer["bytes"] / transfer["seconds"] / 1e9)
    assert transfer["unique_bytes"] == expected["bagel"]["transfer"]["unique_bytes"] > 0
    assert 0 <= transfer["overlap"] <= 1
    assert read_picture(answer) == read_picture(expected)
