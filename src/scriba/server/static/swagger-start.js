const page = document.getElementById("page");
window.ui = SwaggerUIBundle({
  url: page.dataset.openapi,
  domNode: page,
  deepLinking: true,
  validatorUrl: null,
  tryItOutEnabled: true,
});
