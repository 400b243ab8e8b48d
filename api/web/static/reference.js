// Swagger UI over our own description. Nothing is asked of any other host: no validator, no fonts, no examples from afar.
// Its files stay as they came; what they lack for every reader is mended here and in reference.css.
const place = document.getElementById("reference");

// One `main`, which is ours, and a heading between the title and the groups. Its own layout says what is loading or broken.
const ourLayout = ({ React: { createElement: make } }) => ({
  components: {
    EverleafLayout({ specSelectors, getComponent }) {
      const part = (name) => make(getComponent(name, true), { key: name });
      if (!specSelectors.specStr() || specSelectors.loadingStatus() !== "success") return part("BaseLayout");
      const wrap = (key, ...inner) => make("div", { key, className: "wrapper" }, inner);
      return make("div", { className: "swagger-ui" }, [
        make(getComponent("SvgAssets"), { key: "signs" }),
        part("errors"),
        wrap("about", part("InfoContainer"), part("AuthorizeBtnContainer")),
        wrap("what", make("h2", { key: "head" }, "Operations"), part("FilterContainer"), part("operations"), part("Models")),
      ]);
    },
  },
});

// A link inside a button is none to whoever reads by ear; opening the row changes the address all the same.
const plainNames = ({ React: { createElement: make } }) => ({
  wrapComponents: { DeepLink: () => ({ text }) => make("span", null, text) },
});

// What it draws without a name gets one as it comes.
const nameless = [
  [".close-modal", "aria-label", () => "Close"],
  ["tr[data-param-name] select", "aria-label", (field) => field.closest("tr").dataset.paramName],
  [".responses-table", "aria-label", (table) => `Responses of ${table.id.replace(/_responses$/, "")}`],
  ["pre.microlight", "tabindex", () => "0"],
];
new MutationObserver(() => {
  for (const [where, attribute, value] of nameless) {
    for (const found of place.querySelectorAll(`:is(${where}):not([${attribute}])`)) found.setAttribute(attribute, value(found));
  }
}).observe(place, { childList: true, subtree: true });

const night = matchMedia("(prefers-color-scheme: dark)");
function dress() {
  const chosen = document.documentElement.dataset.theme;
  document.documentElement.classList.toggle("dark-mode", chosen ? chosen === "dark" : night.matches);
}
dress();
night.addEventListener("change", dress);

SwaggerUIBundle({
  url: place.dataset.described,
  domNode: place,
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [ourLayout, plainNames],
  layout: "EverleafLayout",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayOperationId: true,
  filter: true,
  validatorUrl: null,
  // A token lives in this page alone, until it is closed.
  persistAuthorization: false,
});
