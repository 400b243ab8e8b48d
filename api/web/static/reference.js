// Swagger UI over our own description. Nothing is asked of any other host: no validator, no fonts, no examples from afar.
const place = document.getElementById("reference");
SwaggerUIBundle({
  url: place.dataset.described,
  domNode: place,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayOperationId: true,
  filter: true,
  validatorUrl: null,
  // A token lives in this page alone, until it is closed.
  persistAuthorization: false,
});
