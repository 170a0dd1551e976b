"""Pictures behind links: for how long, and how many."""

import re

from services.gateway.picture_links import PictureLinks


def found(links: PictureLinks, path: str) -> tuple[bytes, str] | None:
    match = re.fullmatch(r"/v1/pictures/(.+)\?until=(.+)&signature=(.+)", path)
    assert match is not None
    return links.find(*match.groups())


def test_a_link_gives_its_picture_until_its_time_is_over() -> None:
    links, over = PictureLinks(), PictureLinks(lifetime_s=-1.0)
    assert found(links, links.keep(b"picture", "image/png")) == (b"picture", "image/png")
    assert found(over, over.keep(b"picture", "image/png")) is None


def test_the_oldest_pictures_go_when_all_are_too_large() -> None:
    links = PictureLinks(max_bytes=10)
    paths = [links.keep(b"1234", "image/png") for _ in range(3)]
    assert [found(links, path) is None for path in paths] == [True, False, False]
