"""`python -m tests.parity.services FOLDER`: the image cases through a Thinker and a DiT, over every transport."""

import argparse
import asyncio
import contextlib
import io
import itertools
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import grpc
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from bagel import wire
from bagel.contexts import Role
from bagel.rpc import metadata, open_channel
from bagel.v1 import dit_pb2, dit_pb2_grpc, kv_pb2, settings_pb2, thinker_pb2, thinker_pb2_grpc
from services.thinker.prepare import TextSegment
from tests.parity.golden import Case, Golden
from tests.parity.image_cases import check_picture
from tests.parity.report import Report
from tests.processes import running_stage
from tests.transport.store_servers import store_servers

TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Stages:
    """The two services and where the DiT writes what it computed."""

    thinker: grpc.aio.Channel
    dit: grpc.aio.Channel
    dump: Path


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 when every case passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--page-tokens", type=int, nargs="*", default=[16, 7])
    parser.add_argument("--transports", nargs="*", default=["shm", "zeromq", "mooncake", "mooncake_store"])
    parser.add_argument("--cases", nargs="*", help="only these")
    options = parser.parse_args(argv)
    golden = Golden(options.folder)
    cases = [case for case in golden.cases() if case.makes_image and (not options.cases or case.name in options.cases)]
    reports = []
    for transport, page_tokens in itertools.product(options.transports, options.page_tokens):
        print(f"{transport}, pages of {page_tokens} tokens", flush=True)
        flags = ("--device", options.device, "--dtype", options.dtype, "--kv-page-tokens", str(page_tokens),
                 "--transport", transport, "--kv-inline-bytes", "0" if page_tokens == 16 else "65536")  # fmt: skip
        reports += asyncio.run(_run(golden, cases, flags, options.dtype))
    failed = sum(not report.passed for report in reports)
    print(f"{len(reports) - failed} passed, {failed} failed")
    return 0 if reports and not failed else 1


async def _run(golden: Golden, cases: list[Case], flags: tuple[str, ...], dtype: str) -> list[Report]:
    reports = []
    with tempfile.TemporaryDirectory(prefix="bagel-parity-") as folder, contextlib.ExitStack() as stack:
        if "mooncake_store" in flags:
            _, master, metadata = stack.enter_context(store_servers())
            flags = (*flags, "--mooncake-master", master, "--mooncake-metadata", metadata)
        noise = Path(folder) / "noise.safetensors"
        save_file({f"{_id(cases, c)}/{name}": c.tensors[name] for c in cases for name in _noise_names(c)}, noise)
        flags = ("--model", str(golden.checkpoint), "--test-noise", str(noise), "--kv-pool-tokens", "8192", *flags)
        _, thinker = stack.enter_context(running_stage("tests.entry.thinker", *flags))
        _, dit = stack.enter_context(running_stage("tests.entry.dit", *flags, "--test-dump", folder))
        async with open_channel(thinker) as thinker_channel, open_channel(dit) as dit_channel:
            stages = Stages(thinker_channel, dit_channel, Path(folder))
            for case in cases:
                if case.taylorseer:
                    print(f"---- {case.name:<26} TaylorSeer is not built yet", flush=True)
                    continue
                report = Report(case.name, drift=golden.drift(case.name) if dtype == "bfloat16" else None)
                try:
                    await _run_case(case, _id(cases, case), stages, report)
                except Exception as error:  # noqa: BLE001 - one broken case must not hide the others
                    report.problems.insert(0, f"{type(error).__name__}: {error}")
                print(report.line(), flush=True)
                reports.append(report)
            idle = Report("everything is free afterwards")
            await _check_idle(stages, idle)
            print(idle.line(), flush=True)
            reports.append(idle)
    return reports


async def _run_case(case: Case, name: str, stages: Stages, report: Report) -> None:
    call = thinker_pb2_grpc.ThinkerStub(stages.thinker).PrepareContext(
        _context_request(case, name), timeout=TIMEOUT_S, metadata=metadata(name)
    )
    handle, prepared = kv_pb2.KvHandle(), thinker_pb2.Prepared()
    async for event in call:
        if event.HasField("handle"):
            handle = event.handle
        if event.HasField("prepared"):
            prepared = event.prepared
            break
    if "think" in case.json:
        report.same("thought", prepared.thought, case.json["think"]["text"])
    try:
        await _draw(case, name, stages, handle, prepared, report)
    finally:
        call.cancel()


async def _draw(
    case: Case,
    request_id: str,
    stages: Stages,
    handle: kv_pb2.KvHandle,
    prepared: thinker_pb2.Prepared,
    report: Report,
) -> None:
    request = dit_pb2.GenerateRequest(
        request=kv_pb2.RequestId(id=request_id, attempt=1), handle=handle, sampler=wire.sampler_to_proto(case.sampler())
    )
    async for event in dit_pb2_grpc.DitStub(stages.dit).Generate(request, timeout=TIMEOUT_S):
        match event.WhichOneof("event"):
            case "fetched":
                fetched = event.fetched
                moved = 0 if fetched.transport == "shm" else prepared.unique_bytes
                report.same("bytes that moved", fetched.bytes, moved)
                report.same("bytes of the unique pages", fetched.unique_bytes, prepared.unique_bytes)
            case "picture":
                report.same("size", [event.picture.size.height, event.picture.size.width], case.json["image_hw"])
                check_picture(case, report, Image.open(io.BytesIO(event.picture.data)))
    ours = load_file(stages.dump / f"{request_id}.safetensors")
    for name in ("steps.v", "latent.final", "latent.unpatchified", "image.decoded"):
        if name in case.tensors:
            report.close(name, ours[name], case.tensors[name])
    for role in Role:
        for axis, letter in enumerate("kv"):
            for label, layer in (("layer0", 0), ("last", -1)):
                name = f"ctx.{role.value}.{letter}.{label}"
                if name in case.tensors and f"ctx.{role.value}" in ours:
                    report.close(name, ours[f"ctx.{role.value}"][layer, axis], case.tensors[name])


async def _check_idle(stages: Stages, report: Report) -> None:
    """Every page is back once nothing runs."""
    for stub in (thinker_pb2_grpc.ThinkerStub(stages.thinker), dit_pb2_grpc.DitStub(stages.dit)):
        for _ in range(200):
            status = await stub.GetStatus(settings_pb2.GetStatusRequest())
            if status.free_pages == status.total_pages and not status.leases:
                break
            await asyncio.sleep(0.01)  # the end of a lease is not answered to anyone
        report.same("free pages afterwards", (status.free_pages, status.leases), (status.total_pages, 0))


def _context_request(case: Case, request_id: str) -> thinker_pb2.PrepareContextRequest:
    settings = case.sampler()
    roles = [Role.CFG_TEXT] if settings.guidance.needs_cfg_text else []
    roles += [Role.CFG_IMG] if settings.guidance.needs_cfg_img else []
    wanted = case.request()
    message = thinker_pb2.PrepareContextRequest(
        request=kv_pb2.RequestId(id=request_id, attempt=1), think=wanted.think, roles=wire.roles_to_proto(roles)
    )
    for segment in wanted.segments:
        if isinstance(segment, TextSegment):
            message.segments.add().text.text = segment.text
        else:
            data = io.BytesIO()
            segment.image.save(data, format="PNG")
            message.segments.add().image.data = data.getvalue()
    if wanted.decode is not None:
        message.decode.CopyFrom(wire.decode_to_proto(wanted.decode))
    if wanted.size is not None:
        message.size.height, message.size.width = wanted.size
    return message


def _id(cases: list[Case], case: Case) -> str:
    """A request id: a case may be named as it likes."""
    return f"case-{cases.index(case)}"


def _noise_names(case: Case) -> list[str]:
    return [name for name in case.tensors if name == "noise.init" or name.endswith("posterior_noise")]


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
