// Shows /openapi.json of the node that sent this page. Nothing else is asked of anybody:
// no validator (swagger-ui would ask one on the Internet), no fonts, no other origin.
"use strict";
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#interface",
  validatorUrl: null,
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  queryConfigEnabled: false,
  tryItOutEnabled: false,
});
