"""Every bundled deploy file starts a system on a CPU that answers every task, and all of them answer the same."""

import pytest

from services.launch.deploy.files import bundled
from tests.e2e.deployed import SMALL, TASKS, all_answers, ask, deployed

DUMMY = ("--load-format", "dummy")  # texts end at their limit, and every setting shows
OTHERS = sorted(set(bundled()) - {"bagel.yaml"})


@pytest.fixture(scope="module")
def two_stages() -> dict[str, str | bytes]:
    """What the default deployment answers."""
    with deployed(*DUMMY, "--deploy-config", "bagel.yaml") as (_, http):
        return all_answers(http)


def test_four_tasks_with_and_without_a_thought_are_answered(two_stages: dict[str, str | bytes]) -> None:
    assert len(two_stages) == 10
    assert len(set(two_stages.values())) > 5
    assert all(two_stages.values())


@pytest.mark.parametrize("name", OTHERS)
def test_every_topology_gives_the_same_answers_to_the_byte(name: str, two_stages: dict[str, str | bytes]) -> None:
    with deployed(*DUMMY, "--deploy-config", name) as (_, http):
        found = all_answers(http)
        silent = ask(http, {**TASKS["text2img"], "max_think_tokens": 4})
    assert found == two_stages
    assert len(silent["choices"]) == (2 if name == "bagel_think.yaml" else 1), SMALL
