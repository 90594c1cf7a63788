// The official OpenAI client for JavaScript through the gateway: answers, streams, errors, and a stream that is left.
//
// Usage: through_gateway.mjs PACKAGE INVENTIV URL. PACKAGE is the folder of the client. The executable's environment
// names the control plane, which has the service `qwen`, with one replica.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { pathToFileURL } from "node:url";

const [folder, executable, url] = process.argv.slice(2);
const { default: OpenAI } = await import(pathToFileURL(`${folder}/index.mjs`));

const model = "qwen";
const messages = [{ role: "user", content: "Name three colours." }];
const inventiv = (...args) => execFileSync(executable, args, { encoding: "utf8" }).trim();
const client = (apiKey) => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0, timeout: 30_000 });

async function until(what, isTrue) {
    const deadline = Date.now() + 20_000;
    while (!isTrue()) {
        assert(Date.now() < deadline, `no ${what} within 20 s`);
        await new Promise((go) => setTimeout(go, 100));
    }
}

const outstanding = () => JSON.parse(inventiv("service", "show", model, "-o", "json")).load.outstanding;

const asks = client(inventiv("key", "create", "javascript", "-o", "name"));
const chat = (body, options) => asks.chat.completions.create({ model, messages, ...body }, options);

// Answers, with tools and in JSON mode.
const tools = [{ type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } }];
for (const more of [{}, { tools, response_format: { type: "json_object" } }]) {
    const answer = await chat(more);
    assert(answer.choices[0].message.content && answer.usage.total_tokens > 3, JSON.stringify(answer));
}
const embedded = await asks.embeddings.create({ model, input: "three colours", encoding_format: "float" });
assert(embedded.data[0].embedding.length > 0);
const listed = [];
for await (const one of asks.models.list()) listed.push(one.id);
assert(listed.includes(model), listed.join());

// A stream tells its usage only to a client that asked for it.
for (const [more, usages] of [[{}, 0], [{ stream_options: { include_usage: true } }, 1]]) {
    const parts = [];
    for await (const part of await chat({ stream: true, ...more })) parts.push(part);
    assert(parts.filter((p) => p.choices[0]?.delta.content).length > 3);
    assert.equal(parts.filter((p) => p.usage).length, usages);
}

// Errors have their classes and codes.
await assert.rejects(client("sk-wrong").models.list(), (e) =>
    e instanceof OpenAI.AuthenticationError && e.code === "invalid_api_key");
await assert.rejects(chat({ model: "nobody" }), (e) =>
    e instanceof OpenAI.NotFoundError && e.code === "model_not_found");
await assert.rejects(chat({ model: 7 }), (e) =>
    e instanceof OpenAI.BadRequestError && e.code === "invalid_request");
await assert.rejects(chat({ messages: "no list" }), (e) =>
    e instanceof OpenAI.BadRequestError && e.message.includes("messages"));

// The client leaves a stream that would take more than a minute: the replica is free again.
const long = [{ role: "user", content: "again and ".repeat(5_000) }];
const left = await chat({ messages: long, stream: true });
await until("busy replica", () => outstanding() === 1);
for await (const _ of left) break;
left.controller.abort();
await until("free replica", () => outstanding() === 0);
console.log("OpenAI client for JavaScript: answers, streams, errors and a stream that is left");
