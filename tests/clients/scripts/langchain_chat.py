"""`langchain-openai`: texts, streams, pictures in and out, a conversation, errors."""

from importlib.metadata import version

import openai
from given import QUICK, SCENE, URL, part, picture_of, png_size, raised, report
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI

REACH = {"model": "bagel", "base_url": f"{URL}/v1", "api_key": "none", "max_retries": 0}
writer = ChatOpenAI(**REACH, temperature=0, max_tokens=40)
painter = ChatOpenAI(**REACH, extra_body={"modalities": ["image"], **QUICK})
ASKED = [SystemMessage("Be short."), HumanMessage("What is the capital of France?")]


def texts():
    whole = writer.invoke(ASKED)
    assert whole.content
    usage = whole.usage_metadata
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
    assert whole.response_metadata["finish_reason"] in ("stop", "length")
    chunks = list(writer.stream(ASKED, stream_usage=True))
    assert "".join(chunk.content for chunk in chunks) == whole.content
    (counted,) = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    assert counted["total_tokens"] == usage["total_tokens"]
    return whole.content


def picture_in():
    ask = {"type": "text", "text": "Describe this image"}
    openai_s = writer.invoke([HumanMessage([part(SCENE), ask])])
    data = part(SCENE)["image_url"]["url"].split(",", 1)[1]
    own = writer.invoke([HumanMessage([{"type": "image", "base64": data, "mime_type": "image/png"}, ask])])
    assert openai_s.content == own.content != ""
    assert openai_s.usage_metadata["input_tokens"] > 20


def pictures_out():
    ask = HumanMessage("A red circle")
    drawn = painter.invoke([ask])
    (picture,) = drawn.content
    # The message goes back as it came, to be edited and to be asked about.
    edited = painter.invoke([ask, drawn, HumanMessage("Now make it blue")])
    assert edited.content != drawn.content
    assert writer.invoke([ask, drawn, HumanMessage("What color is it?")]).content
    return png_size(picture_of(picture)), png_size(picture_of(edited.content[0]))


def refusals():
    for name, value in (("temperature", 3), ("stop", ["x"])):
        error = raised(openai.BadRequestError, lambda n=name, v=value: writer.invoke("Hi", **{n: v}))
        assert error.param == name
        assert error.code in ("invalid_value", "unknown_parameter")
    other = ChatOpenAI(**{**REACH, "model": "gpt-4o"})
    assert raised(openai.NotFoundError, lambda: other.invoke("Hi")).code == "model_not_found"


text = texts()
picture_in()
sizes = pictures_out()
refusals()
report(version=version("langchain-openai"), text=text, sizes=sizes)
