"""Public gRPC messages as REST's requests: every option, places of pictures, and bounds before anything is built."""

import pytest

from bagel.errors import RequestError
from bagel.limits import CHAT_PARTS, PICTURES_SENT
from bagel.v1 import bagel_pb2, dit_pb2, settings_pb2
from services.gateway.door.requests import (
    conversation_field,
    conversation_of,
    edit_of,
    generation_of,
    options_of,
    question_field,
    question_of,
)
from services.gateway.errors import ApiError
from services.gateway.image_schemas import GenerationRequest
from services.gateway.schemas import ChatRequest

PICTURE = settings_pb2.EncodedImage(data=b"png")


def said(*parts: bagel_pb2.ChatPart, role: bagel_pb2.ChatRole = bagel_pb2.CHAT_ROLE_USER) -> bagel_pb2.ChatMessage:
    return bagel_pb2.ChatMessage(role=role, parts=parts)


def test_every_option_is_a_field_of_rest() -> None:
    names = {field.name for field in bagel_pb2.PictureOptions.DESCRIPTOR.fields}
    assert names <= set(GenerationRequest.model_fields)
    assert {field.name for field in bagel_pb2.WritingOptions.DESCRIPTOR.fields} <= set(ChatRequest.model_fields)


def test_what_is_set_is_sent_and_nothing_else() -> None:
    options = bagel_pb2.PictureOptions(
        seed=0, cfg_interval=[0.2, 0.9], cfg_renorm_type=settings_pb2.RENORM_TEXT_CHANNEL, think=False,
        output_format=dit_pb2.IMAGE_FORMAT_JPEG,
    )  # fmt: skip
    assert options_of(options) == {
        "seed": 0, "cfg_interval": [0.2, 0.9], "cfg_renorm_type": "text_channel", "think": False,
        "output_format": "jpeg",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "param"),
    [
        (bagel_pb2.PictureOptions(seed=2**64 - 1), "seed"),
        (bagel_pb2.PictureOptions(cfg_interval=[0.5]), "cfg_interval"),
        (bagel_pb2.PictureOptions(output_format=99), "output_format"),  # type: ignore[arg-type]
        (bagel_pb2.PictureOptions(n=11), "n"),
    ],
)
def test_options_have_rests_bounds(options: bagel_pb2.PictureOptions, param: str) -> None:
    with pytest.raises(ApiError) as refused:
        generation_of(bagel_pb2.GeneratePicturesRequest(prompt="a cat", options=options))
    assert refused.value.param == param


def test_pictures_keep_their_order_and_their_names() -> None:
    texts, pictures = bagel_pb2.ChatPart(text="and"), bagel_pb2.ChatPart(picture=PICTURE)
    order = conversation_of(bagel_pb2.ChatRequest(messages=[said(texts, pictures), said(pictures, texts)]))
    assert [picture.param for picture in order.files.pictures] == [
        "messages[0].parts[1].picture",
        "messages[1].parts[0].picture",
    ]


def test_too_many_parts_or_pictures_are_refused_by_their_number() -> None:
    part = bagel_pb2.ChatPart(text="a")
    many = bagel_pb2.ChatRequest(messages=[said(*[part] * CHAT_PARTS.most)])
    with pytest.raises(RequestError, match=f"{CHAT_PARTS.most + 1} messages and parts"):
        conversation_of(many)
    pictures = [PICTURE] * (PICTURES_SENT.most + 1)
    with pytest.raises(RequestError, match="65 pictures"):
        edit_of(bagel_pb2.EditPicturesRequest(prompt="a", pictures=pictures))
    with pytest.raises(RequestError, match="65 pictures"):
        question_of(bagel_pb2.UnderstandRequest(question="a", pictures=pictures))
    with pytest.raises(RequestError, match="65 pictures"):
        conversation_of(bagel_pb2.ChatRequest(messages=[said(*[bagel_pb2.ChatPart(picture=PICTURE)] * 65)]))


def test_a_message_without_a_role_and_an_empty_part_are_named() -> None:
    with pytest.raises(RequestError) as refused:
        conversation_of(bagel_pb2.ChatRequest(messages=[said(role=bagel_pb2.CHAT_ROLE_UNSPECIFIED)]))
    assert refused.value.param == "messages[0].role"
    with pytest.raises(RequestError) as refused:
        conversation_of(bagel_pb2.ChatRequest(messages=[said(bagel_pb2.ChatPart())]))
    assert refused.value.param == "messages[0].parts[0]"


def test_errors_blame_fields_that_the_messages_have() -> None:
    assert question_field("messages[0].content") == "question"
    assert question_field("max_tokens") == "max_tokens"
    assert conversation_field("messages[1].content[0].text") == "messages[1].parts[0].text"
