// Reads a facade by the npm package fhir-kit-client: node fhir_kit.mjs PACKAGE BASE TOKEN.
// Prints what it found as JSON.
const [, , folder, baseUrl, token] = process.argv;
const { Client } = await import(`${folder}/dist/client.js`);
const client = new Client({ baseUrl, bearerToken: token });

const patients = await client.search({ resourceType: "Patient", searchParams: {} });
const { id } = patients.entry[0].resource;
const read = await client.read({ resourceType: "Patient", id });
let page = await client.search({
  resourceType: "Observation",
  searchParams: { patient: id, _count: 5 },
});
const observations = [];
let pages = 0;
while (page) {
  pages += 1;
  observations.push(...(page.entry ?? []).map((one) => one.resource.id));
  page = (await client.nextPage({ bundle: page })) ?? null;
}
const posted = await client.search({
  resourceType: "Observation",
  searchParams: { patient: id, code: "8867-4" },
  options: { postSearch: true },
});
const told = await client.capabilityStatement();
const versions = await client.history({ resourceType: "Patient", id });
console.log(
  JSON.stringify({
    patient: read.id, pages, observations, posted: (posted.entry ?? []).length,
    told: told.resourceType, versions: versions.entry.length,
  }),
);
