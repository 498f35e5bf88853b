// Signs or checks messages by the npm package standardwebhooks: node standard_webhooks.mjs PACKAGE.
// Reads [{"secret", "id", "at", "body", "headers"?}]; prints of each its signature, or with headers what is wrong, or "".
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const { Webhook } = createRequire(import.meta.url)(process.argv[2]);

function answer({ secret, id, at, body, headers }) {
  const hook = new Webhook(secret);
  if (!headers) return hook.sign(id, new Date(at * 1000), body);
  try {
    hook.verify(body, headers);
    return "";
  } catch (wrong) {
    return wrong.message;
  }
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(answer)));
