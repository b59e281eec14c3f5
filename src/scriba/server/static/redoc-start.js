const page = document.getElementById("page");
const plain = "system-ui, sans-serif";
Redoc.init(
  page.dataset.openapi,
  {
    theme: { typography: { fontFamily: plain, headings: { fontFamily: plain }, code: { fontFamily: "monospace" } } },
  },
  page,
);
