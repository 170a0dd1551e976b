"""`POST /v1/images/generations` and `/v1/images/edits`: pictures whole, or as a stream with pictures on the way."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.types import Message

from bagel import limits
from bagel.errors import BagelError
from bagel.logs import get_logger
from services.gateway.calls import Call
from services.gateway.edit_files import EditFiles, SentPicture
from services.gateway.errors import ApiError, from_bagel, invalid_request
from services.gateway.happenings import Admitted, Happening, ImageResult, Preview, Progress, TextResult, Waiting
from services.gateway.image_responses import ImageAnswer
from services.gateway.image_schemas import EditRequest, ImageRequest, parse_edit, parse_generation
from services.gateway.image_tasks import make_image_task
from services.gateway.picture_links import PictureLinks
from services.gateway.responses import Answer, comment, event, place_comment
from services.gateway.serving import Serving, parse_json


class ImagesEndpoint:
    """Both handlers with what they need."""

    def __init__(self, serving: Serving, links: PictureLinks) -> None:
        self._serving, self._links = serving, links

    async def generate(self, request: Request) -> Response:
        """Serve a generation. Raises ApiError and BagelError."""
        parsed = parse_generation(parse_json(await self._serving.read_body(request)))
        return await self._serve(request, parsed, EditFiles(), "image_generation")

    async def edit(self, request: Request) -> Response:
        """Serve an edit. Raises ApiError and BagelError."""
        parsed, files = await self._read_form(request)
        return await self._serve(request, parsed, files, "image_edit")

    async def _serve(self, request: Request, parsed: ImageRequest, files: EditFiles, kind: str) -> Response:
        serving = self._serving
        model, call = serving.model_for(parsed.model), serving.call(request, parsed.timeout_s)
        pictures = [picture.data for picture in files.pictures]
        task = await asyncio.to_thread(
            make_image_task, parsed, pictures, serving.stages.limits(), serving.config.default_sampling
        )
        await serving.until_disconnect(request, call, self._look_at(files, call))

        def link(data: bytes, mime: str) -> str:
            return str(request.base_url).rstrip("/") + self._links.keep(data, mime)

        answer = ImageAnswer(parsed, Answer(call.request_id, model, task), kind, link)
        get_logger().info("request", task=task.name, think=task.think, stream=parsed.stream, n=task.count)
        happening = serving.run(task, call)
        if parsed.stream:
            # What is refused before anything happened keeps its own status.
            first = await serving.until_disconnect(request, call, anext(happening))
            stream = self._stream(serving.until_cancelled(call, first, happening), answer, files)
            return StreamingResponse(stream, media_type="text/event-stream")
        body = await serving.until_disconnect(request, call, self._complete(happening, answer, files))
        return JSONResponse(body)

    async def _look_at(self, files: EditFiles, call: Call) -> None:
        """Refuse pictures that do not decode. Raises RequestError, ApiError, DeadlineError."""
        self._serving.gate.check_room(draws=True)
        async with call.in_time():
            await files.check(self._serving.decoding)

    async def _complete(
        self, happening: AsyncGenerator[Happening, None], answer: ImageAnswer, files: EditFiles
    ) -> dict[str, object]:
        text: TextResult | None = None
        image: ImageResult | None = None
        async with aclosing(happening):
            async for what in happening:
                match what:
                    case Admitted(queue_s=seconds):
                        answer.answer.queue_s = seconds
                    case TextResult():
                        text = what
                    case ImageResult():
                        image = what
        assert image is not None, "the DiT ended without a word"
        pictures = [await files.masked(picture, answer.answer.task) for picture in image.pictures]
        return answer.body(text, replace(image, pictures=tuple(pictures)))

    async def _stream(
        self, happening: AsyncGenerator[Happening, None], answer: ImageAnswer, files: EditFiles
    ) -> AsyncIterator[bytes]:
        text: TextResult | None = None
        try:
            async with aclosing(happening):
                async for what in happening:
                    match what:
                        case Waiting():
                            yield place_comment(what)
                        case Progress(picture=index, done=done, total=total):
                            yield comment(f"picture {index + 1}: step {done} of {total}")
                        case Preview():
                            yield answer.partial(what)
                        case TextResult():
                            text = what
                        case ImageResult():
                            for picture in what.pictures:
                                yield answer.completed(await files.masked(picture, answer.answer.task), text, what)
        except BagelError as error:
            yield event(from_bagel(error).body())
        except ApiError as error:
            yield event(error.body())

    async def _read_form(self, request: Request) -> tuple[EditRequest, EditFiles]:
        body = await self._serving.read_body(request)

        async def whole() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            # The form's own parser has no limit for the whole.
            async with Request(request.scope, whole).form(
                max_files=limits.PICTURES_SENT.most + 1,  # and a mask
                max_fields=limits.FORM_FIELDS.most,
                max_part_size=limits.FORM_FIELD_BYTES.most,
            ) as form:
                items = form.multi_items()
                files = [(name, await value.read()) for name, value in items if isinstance(value, UploadFile)]
        except HTTPException as error:
            raise invalid_request(f"the form cannot be read: {error.detail}", code="invalid_form") from None
        sent = [data for name, data in files if name in ("image", "image[]")]
        pictures = tuple(SentPicture(f"image[{index}]", data) for index, data in enumerate(sent))
        masks = [SentPicture("mask", data) for name, data in files if name == "mask"]
        unknown = [name for name, _ in files if name not in ("image", "image[]", "mask")]
        fields = {name: value for name, value in items if isinstance(value, str)}
        if unknown:
            raise invalid_request(f"{unknown[0]}: unknown file; remove it", param=unknown[0], code="unknown_parameter")
        if len(pictures) > limits.PICTURES_SENT.most:
            message = f"image: {len(pictures)} pictures were sent, at most {limits.PICTURES_SENT.most} are taken"
            raise invalid_request(message, param="image", code="invalid_value")
        if not pictures:
            raise invalid_request("image: required", param="image", code="missing_required_parameter")
        return parse_edit(fields), EditFiles(pictures, masks[0] if masks else None)
