// Draws a picture and asks what is in it, over gRPC:
//   npm install && node generate.mjs localhost:8090 "A cute cat" cat.png
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const [address = "localhost:8090", prompt = "A cute cat", file = "cat.png"] = process.argv.slice(2);
const protos = fileURLToPath(new URL("../../protos", import.meta.url));
const loaded = loadSync("bagel/v1/bagel.proto", { includeDirs: [protos], oneofs: true, longs: Number });
const { Bagel } = grpc.loadPackageDefinition(loaded).bagel.v1;
const bagel = new Bagel(address, grpc.credentials.createInsecure(), {
  "grpc.max_receive_message_length": 80 * 1024 * 1024,
});
const deadline = () => ({ deadline: Date.now() + 600_000 });

/** Every event of a task, handed to `watch`; rejects with the server's status. */
const events = (call, watch) =>
  new Promise((resolve, reject) => {
    call.on("data", watch).on("end", resolve).on("error", reject);
  });

try {
  let picture;
  await events(bagel.generatePictures({ prompt, options: { seed: 7, partialImages: 1 } }, deadline()), (told) => {
    if (told.steps) process.stderr.write(`\rstep ${told.steps.done} of ${told.steps.total}`);
    if (told.picture) picture = told.picture;
  });
  await writeFile(file, picture.image.data);
  console.log(`\n${file}: ${picture.size.width} x ${picture.size.height}, seed ${picture.seed}`);
  const question = { question: "Describe this image in detail", pictures: [picture.image] };
  await events(bagel.understand(question, deadline()), (told) => {
    if (told.text) console.log(told.text.text);
  });
} catch (error) {
  console.error(`${error.code}: ${error.details ?? error.message}`);
  process.exitCode = 1;
} finally {
  bagel.close();
}
