// A file of its own, since the page's policy allows no script inside the page.
SwaggerUIBundle({
  url: "v1/openapi.json",
  dom_id: "#api",
  validatorUrl: null,
  deepLinking: true,
  // A token that is typed in is gone with the page.
  persistAuthorization: false,
});
