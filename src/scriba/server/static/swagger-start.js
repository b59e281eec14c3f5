const page = document.getElementById("page");

// Swagger UI fills every field of a form with a made-up value, and sends them all. A field that may be left out
// begins empty here, or with its default; an empty field counts as not sent.
const BlankForms = {
  afterLoad(system) {
    const made = system.fn.getSampleSchema;
    system.fn.getSampleSchema = (schema, type, ...rest) => {
      if (type !== false) return made(schema, type, ...rest);
      const plain = schema?.toJS ? schema.toJS() : schema;
      if (plain?.default !== undefined) return String(plain.default);
      return plain?.type === "array" ? [] : "";
    };
  },
};

window.ui = SwaggerUIBundle({
  url: page.dataset.openapi,
  domNode: page,
  deepLinking: true,
  validatorUrl: null,
  tryItOutEnabled: true,
  plugins: [BlankForms],
});
