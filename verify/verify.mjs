// Checks a package of fhirbridge's evidence: node verify.mjs FOLDER KEYS.txt [CHECKPOINT.txt …]
// Independent of fhirbridge: the standard library of Node (18 or later) only. Exit status 0: sound.
import { createHash, createPublicKey, verify as verifies } from "node:crypto";
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FIELDS = ["id", "at", "actor", "action", "outcome", "record_id", "delivery_id", "destination",
  "detail", "payload_owner", "payload_digest"].sort();
const sha = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
const parent = (left, right) => sha(Buffer.of(1), left, right);
const bad = (what) => { throw new Error(what); };
const same = (one, other) => Buffer.compare(one, other) === 0;
const hex = (text) => /^([0-9a-f]{2})*$/.test(text) ? Buffer.from(text, "hex") : bad(`${text} is no hex`);

const [folder, keyFile, ...kept] = process.argv.slice(2);
const file = (name) => lstatSync(join(folder, name)).isFile() ? readFileSync(join(folder, name)) : bad(`${name} is no plain file`);

const keys = readFileSync(keyFile, "utf8").split("\n").map((line) => line.split("#")[0].trim()).filter(Boolean).map((line) => {
  const [written, compromised = ""] = line.split(" compromised ");
  const [name, id, text] = [written.split("+")[0], written.split("+")[1], written.split("+").slice(2).join("+")];
  const raw = Buffer.from(text, "base64");
  const own = sha(`${name}\n`, raw).subarray(0, 4).toString("hex");
  if (raw.length !== 33 || raw[0] !== 1 || own !== id) bad(`${written} is no verifier key`);
  const jwk = { kty: "OKP", crv: "Ed25519", x: raw.subarray(1).toString("base64url") };
  return { name, id, compromised, key: createPublicKey({ key: jwk, format: "jwk" }) };
});
const sound = (key, at) => !key.compromised || at < key.compromised;

function checkpoint(note) {
  const [text, below] = [note.split("\n\n")[0] + "\n", note.split("\n\n")[1] ?? ""];
  const lines = text.split("\n");
  const [origin, size, root, at] = [lines[0], Number(lines[1]), Buffer.from(lines[2] ?? "", "base64"), (lines[3] ?? "").replace(/^at /, "")];
  const signed = below.split("\n").filter(Boolean).some((line) => {
    const [, name, written] = /^\u2014 (\S+) (\S+)$/.exec(line) ?? bad("a checkpoint has a line that is no signature");
    const raw = Buffer.from(written, "base64");
    return keys.some((key) => key.name === name && key.id === raw.subarray(0, 4).toString("hex") &&
      sound(key, at) && verifies(null, Buffer.from(text), key.key, raw.subarray(4)));
  });
  if (!signed || root.length !== 32 || lines.length !== 5) bad("a checkpoint is not signed by a key that you trust, or was changed");
  return { origin, size, root, at };
}

// The tree: RFC 6962.
function rootOf(leaves) {
  if (leaves.length === 0) return sha();
  const stack = [];
  leaves.forEach((leaf, index) => {
    let made = leaf;
    for (let rest = index; rest % 2; rest = (rest - 1) / 2) made = parent(stack.pop(), made);
    stack.push(made);
  });
  return stack.reduceRight((right, left) => parent(left, right));
}
function rootOfProof(leaf, index, size, proof) {
  let [made, last] = [leaf, size - 1];
  if (!(index >= 0 && index < size)) return sha();
  for (const other of proof) {
    if (last === 0) return sha();
    if (index % 2 || index === last) {
      made = parent(other, made);
      while (!(index % 2) && index) [index, last] = [Math.floor(index / 2), Math.floor(last / 2)];
    } else made = parent(made, other);
    [index, last] = [Math.floor(index / 2), Math.floor(last / 2)];
  }
  return last === 0 ? made : sha();
}
function grew(old, now, proof) {
  if (old.size === now.size) return proof.length === 0 && same(old.root, now.root);
  const path = Math.log2(old.size) % 1 === 0 ? [old.root, ...proof] : [...proof];
  if (path.length === 0) return false;
  let [index, last] = [old.size - 1, now.size - 1];
  while (index % 2) [index, last] = [Math.floor(index / 2), Math.floor(last / 2)];
  let [before, after] = [path[0], path[0]];
  for (const other of path.slice(1)) {
    if (last === 0) return false;
    if (index % 2 || index === last) {
      [before, after] = [parent(other, before), parent(other, after)];
      while (!(index % 2) && index) [index, last] = [Math.floor(index / 2), Math.floor(last / 2)];
    } else after = parent(after, other);
    [index, last] = [Math.floor(index / 2), Math.floor(last / 2)];
  }
  return last === 0 && same(before, old.root) && same(after, now.root);
}

// An export: a row of the log names these very bytes.
function handedOver(said, rows) {
  const proofs = ["evidence.ndjson", "checkpoint.txt", "consistency.ndjson", "keys.txt"];
  const listed = said.files.filter((one) => !proofs.includes(one.name)).map((one) => `${one.sha256}  ${one.name}\n`).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const content = sha(listed.join("")).toString("hex");
  const known = rows.filter((row) => row.number !== null);
  if (!known.some((row) => row.action === "resources.exported" && JSON.parse(row.detail).content === content)) bad("no row of the log says that this was handed over");
}

// One with identifiers: each resource is in the index, its record and delivery in the log.
function resources(said, rows) {
  const known = rows.filter((row) => row.number !== null);
  const about = new Set(known.flatMap((row) => [row.record_id, row.delivery_id]));
  const left = new Map();
  for (const one of said.files) if (one.name.startsWith("resources/")) left.set(one.name, file(one.name).toString().split("\n").slice(0, -1));
  const read = new Map();
  file("index.ndjson").toString().split("\n").filter(Boolean).map((line) => JSON.parse(line)).forEach((row, index) => {
    const before = read.get(row.file) ?? 0;
    const line = left.get(row.file)?.[before];
    if (line === undefined || row.line !== before + 1 || sha(line).toString("hex") !== row.sha256) bad(`index.ndjson line ${index + 1} is not of the resource that it names`);
    if (!about.has(row.record_id) || (row.delivery && !about.has(row.delivery))) bad(`index.ndjson line ${index + 1}: the log has no row of its record or its delivery`);
    read.set(row.file, before + 1);
  });
  for (const [name, lines] of left) if (read.get(name) !== lines.length) bad("index.ndjson does not name every resource");
}

function main() {
  const raw = file("manifest.json");
  const [head, empty, signature] = file("manifest.jws").toString("latin1").trim().split(".");
  const kid = JSON.parse(Buffer.from(head, "base64url")).kid;
  const said = JSON.parse(raw);
  const signer = keys.find((key) => key.id === kid && sound(key, String(said.made_at)));
  const signed = Buffer.from(`${head}.${raw.toString("base64url")}`);
  if (empty !== "" || !signer || Buffer.from(signature, "base64url").toString("base64url") !== signature ||
    !verifies(null, signed, signer.key, Buffer.from(signature, "base64url"))) bad("manifest.json is not signed by a key that you trust, or was changed");
  const names = new Set(said.files.map((one) => one.name));
  for (const one of readdirSync(folder, { recursive: true })) {
    const about = lstatSync(join(folder, one));
    if (about.isDirectory()) continue;
    if (!about.isFile() || !(names.has(one) || one === "manifest.json" || one === "manifest.jws")) bad(`${one} is not in the manifest`);
  }
  for (const one of said.files) {
    const bytes = file(one.name);
    if (bytes.length !== one.bytes || sha(bytes).toString("hex") !== one.sha256) bad(`${one.name} was changed`);
  }
  const now = checkpoint(file("checkpoint.txt").toString());
  const whole = said.format === "fhirbridge/evidence/v1";
  const rows = file("evidence.ndjson").toString().split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const leaves = rows.map((row, index) => {
    const text = JSON.stringify(Object.fromEntries(FIELDS.map((name) => [name, typeof row[name] === "string" ? row[name] : bad(`row ${index} lacks ${name}`)])));
    const leaf = sha(Buffer.of(0), hex(row.salt), text);
    if (leaf.toString("hex") !== row.leaf) bad(`evidence.ndjson line ${index + 1} was changed`);
    if (row.payload && sha(hex(row.payload_salt), file(row.payload)).toString("hex") !== row.payload_digest) bad(`${row.payload} is not what the log keeps`);
    if (whole && row.number !== index) bad(`evidence.ndjson line ${index + 1} is not where it belongs`);
    if (!whole && row.number !== null && !same(rootOfProof(leaf, row.number, now.size, row.inclusion.map(hex)), now.root)) bad(`evidence.ndjson line ${index + 1} is not in the log that was signed`);
    return leaf;
  });
  if (whole && (leaves.length !== now.size || !same(rootOf(leaves), now.root))) bad("evidence.ndjson holds other rows than the checkpoint was made of");
  if (["fhirbridge/export/v1", "fhirbridge/scrubbed/v1"].includes(said.format)) handedOver(said, rows);
  if (said.format === "fhirbridge/export/v1") resources(said, rows);
  const proofs = Object.fromEntries(file("consistency.ndjson").toString().split("\n").filter(Boolean).map((line) => JSON.parse(line)).map((row) => [row.size, row.proof]));
  for (const name of kept) {
    const old = checkpoint(readFileSync(name, "utf8"));
    if (old.origin !== now.origin || old.size > now.size) bad("the checkpoint you kept is of another log, or the end of this one was cut off");
    const is = whole ? same(rootOf(leaves.slice(0, old.size)), old.root) : grew(old, now, (proofs[old.size] ?? []).map(hex));
    if (!is) bad(`the log is not the one that was signed at ${old.at}`);
  }
  console.log(`Sound: ${said.files.length} files, ${rows.length} evidence rows; log ${now.origin}, ${now.size} rows, signed at ${now.at}.`);
}

try { main(); } catch (error) { console.error(`NOT SOUND: ${error.message}`); process.exit(1); }
