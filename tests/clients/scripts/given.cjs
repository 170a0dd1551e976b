// given.py for Node.
"use strict";
const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const path = require("node:path");

const [URL, FOLDER] = process.argv.slice(2);
const read = (name) => readFileSync(path.join(FOLDER, name));
const PREFIX = "data:image/png;base64,";

module.exports = {
  URL,
  SCENE: read("scene.png"),
  OTHER: read("other.png"),
  MASK: read("mask.png"),
  // Pictures small enough for a CPU.
  QUICK: { num_inference_steps: 6, seed: 5 },
  part: (png) => ({ type: "image_url", image_url: { url: PREFIX + png.toString("base64") } }),
  pictureOf({ image_url: { url } }) {
    assert.ok(url.startsWith(PREFIX));
    return Buffer.from(url.slice(PREFIX.length), "base64");
  },
  pngSize(data) {
    assert.equal(data.subarray(1, 4).toString(), "PNG");
    return [data.readUInt32BE(16), data.readUInt32BE(20)];
  },
  /** The last line of a script. */
  report(facts) {
    console.log(JSON.stringify({ version: require("openai/version").VERSION, ...facts }));
  },
};
