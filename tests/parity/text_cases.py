"""Cases that end in text."""

import torch

from bagel.contexts import Role
from tests.parity.context_checks import ObservedRun
from tests.parity.golden import Case
from tests.parity.report import Report
from tests.parity.rig import Rig


def run_text_case(case: Case, rig: Rig, report: Report) -> None:
    """Prefill, then decode greedily; contexts, positions, caches, logits, ids and texts."""
    run = ObservedRun(case, rig, report)
    run.prefill_all()
    gen = run.end(Role.GEN)
    report.same("kv_len", gen.tokens, case.json["kv_len"])
    report.same("rope", gen.rope, case.json["rope_next"])
    report.same("system prompt", case.json["system_prompt"] is not None, bool(case.params.get("think")))
    run.check_updates(case.json["context"])
    run.check_images()
    run.check_kv("prefill", gen)
    if "prefill.lm_input" in case.tensors:
        report.close("prefill.lm_input", run.joined(Role.GEN, "lm_input"), case.tensors["prefill.lm_input"])
    if "prefill.hidden" in case.tensors:
        norm = rig.runner.model.mot.norm
        assert norm is not None
        report.close("prefill.hidden", norm(run.joined(Role.GEN, "hidden")), case.tensors["prefill.hidden"])
    if "prefill.position_ids" in case.tensors:
        report.same("prefill.position_ids", _positions(run), case.tensors["prefill.position_ids"])
    run.check_decoding(gen, case.fed_limit, "decode", case.json["decode"])
    while run.execution.decode().finish_reason is None:
        pass
    # The engine drops the token that a limit of fed tokens would lose; the text is the reference's.
    report.same("text through the engine", run.execution.text, case.json["decode"]["text"])
    run.close()


def _positions(run: ObservedRun) -> torch.Tensor:
    """Rotary positions of gen's rows: one per text row, one for all rows of a picture block."""
    rows = []
    for index in run.prepared.plan.chain(Role.GEN):
        _, rope, count = run.shapes[index]
        is_text = run.prepared.node_ids[index] is not None
        rows.append(torch.arange(rope, rope + count) if is_text else torch.full((count,), rope))
    return torch.cat(rows)
