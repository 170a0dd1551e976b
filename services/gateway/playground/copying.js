// A plan as a curl command and as a Python program. The key is never written out: both read it from $BAGEL_API_KEY.

import { bodyOf, formFieldsOf, formNameOf } from "./plan.js";

/** Something that stands in the text as it is, unquoted. */
class Code {
  constructor(text) {
    this.text = text;
  }
}

/** For a POSIX shell with curl, grep and base64. Input pictures are read by name from the current folder. */
export function asCurl(plan, base, keyed) {
  const lines = [`curl -sS --fail-with-body ${quoted(new URL(plan.path, base))}`];
  if (keyed) lines.push('-H "authorization: Bearer $BAGEL_API_KEY"');
  const body = bodyOf(plan, shellPicture);
  let document = "";
  if (body === null) {
    for (const [name, value] of formFieldsOf(plan)) lines.push(`--form-string ${quoted(`${name}=${value}`)}`);
    for (const { name } of plan.pictures) lines.push(`-F ${quoted(`${formNameOf(plan)}=@"${escaped(name)}"`)}`);
  } else {
    lines.push("-H 'content-type: application/json'");
    if (plan.pictures.length > 0) {
      // Pictures are longer than a command line may be.
      lines.push("--data-binary @-");
      document = "<<JSON";
    } else lines.push(`--data-binary ${quoted(literal(body, JSON.stringify))}`);
  }
  const saving = `-o answer.json ${document}`.trimEnd();
  const whole = `${lines.join(" \\\n  ")} \\\n  ${saving} && ${shellReading(plan)} || cat answer.json`;
  return document ? `${whole}\n${literal(body, shellText)}\nJSON\n` : `${whole}\n`;
}

/** For Python with httpx. Input pictures are read by name from the current folder. */
export function asPython(plan, base, keyed) {
  const body = bodyOf(plan, ({ name, blob }) => new Code(`picture(${pythonText(name)}, ${pythonText(blob.type)})`));
  const lines = ["import base64", ...(keyed ? ["import os"] : []), "from pathlib import Path", "", "import httpx", ""];
  if (body !== null && plan.pictures.length > 0) {
    lines.push("", "def picture(name, mime):", '    data = base64.b64encode(Path(name).read_bytes()).decode()',
      '    return f"data:{mime};base64,{data}"', "", "");
  }
  lines.push("answer = httpx.post(", `    ${pythonText(String(new URL(plan.path, base)))},`);
  if (keyed) lines.push('    headers={"authorization": f"Bearer {os.environ[\'BAGEL_API_KEY\']}"},');
  if (body === null) {
    const name = pythonText(formNameOf(plan));
    const files = plan.pictures.map((one) => `(${name}, (${pythonText(one.name)}, Path(${pythonText(one.name)}).read_bytes()))`);
    lines.push(`    data=${literal(Object.fromEntries(formFieldsOf(plan)), pythonText)},`, `    files=[${files.join(", ")}],`);
  } else lines.push(`    json=${literal(body, pythonText)},`);
  lines.push("    timeout=600,", ")", "if answer.is_error:", "    raise SystemExit(answer.text)", ...pythonReading(plan), "");
  return lines.join("\n");
}

/** Where a copied command saves the only picture of its answer. */
export function savedName({ fields }) {
  return `picture.${fields.output_format ?? "png"}`;
}

function shellReading(plan) {
  const saved = savedName(plan);
  if (plan.messages && plan.fields.modalities === undefined) return "cat answer.json";
  if (plan.messages) {
    return `grep -o 'data:image/[a-z]*;base64,[^"]*' answer.json | cut -d, -f2 | base64 --decode > ${saved}`;
  }
  const found = `grep -o '"b64_json": *"[^"]*"' answer.json | cut -d'"' -f4`;
  if ((plan.fields.n ?? 1) === 1) return `${found} | base64 --decode > ${saved}`;
  const each = saved.replace(".", "-$i.");
  return `${found} | (i=0; while read -r one; do printf %s "$one" | base64 --decode > "${each}"; i=$((i+1)); done)`;
}

function pythonReading(plan) {
  const saved = savedName(plan);
  if (plan.messages && plan.fields.modalities === undefined) {
    return ['print(answer.json()["choices"][0]["message"]["content"])'];
  }
  if (plan.messages) {
    return [
      'content = answer.json()["choices"][-1]["message"]["content"]',
      'data = content[0]["image_url"]["url"].split(",", 1)[1]',
      `Path("${saved}").write_bytes(base64.b64decode(data))`,
    ];
  }
  const several = (plan.fields.n ?? 1) > 1;
  const name = several ? `f"${saved.replace(".", "-{index}.")}"` : `"${saved}"`;
  return [
    'for index, entry in enumerate(answer.json()["data"]):',
    `    Path(${name}).write_bytes(base64.b64decode(entry["b64_json"]))`,
  ];
}

/** A value as JSON or as Python, depending on how its smallest parts are written. */
function literal(value, write) {
  if (value instanceof Code) return value.text;
  if (Array.isArray(value)) return `[${value.map((item) => literal(item, write)).join(", ")}]`;
  if (value === null || typeof value !== "object") return write(value);
  const items = Object.entries(value).map(([name, item]) => `${write(name)}: ${literal(item, write)}`);
  return `{${items.join(", ")}}`;
}

function pythonText(value) {
  if (value === true) return "True";
  if (value === false) return "False";
  return value === null ? "None" : JSON.stringify(value);
}

/** JSON for a here-document, in which the shell looks for its own signs. */
function shellText(value) {
  return JSON.stringify(value).replaceAll("\\\\", "\\u005c").replaceAll("$", "\\u0024").replaceAll("`", "\\u0060");
}

function shellPicture({ name, blob }) {
  return new Code(`"data:${blob.type};base64,$(base64 < ${quoted(`./${name}`)} | tr -d '\\n')"`);
}

function quoted(text) {
  return `'${String(text).replaceAll("'", "'\\''")}'`;
}

/** Inside the double quotes in which curl takes a file's name. */
function escaped(name) {
  return name.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
}
