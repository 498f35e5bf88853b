// Checks detached JWS by the npm package jose: node jose.mjs PACKAGE. Reads {"x", "jws", "payload"} (base64); prints what is wrong, or "".
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { flattenedVerify, importJWK } = await import(pathToFileURL(process.argv[2]).href);
const { x, jws, payload } = JSON.parse(readFileSync(0, "utf8"));
const [head, , signature] = jws.split(".");
const key = await importJWK({ kty: "OKP", crv: "Ed25519", x }, "EdDSA");
const signed = Buffer.from(payload, "base64").toString("base64url");
let wrong = "";
try {
  await flattenedVerify({ protected: head, payload: signed, signature }, key);
} catch (error) {
  wrong = error.message;
}
console.log(JSON.stringify(wrong));
