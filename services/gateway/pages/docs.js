// Swagger UI fills every field of a form with a sample, and would send all of them: a field that nobody touched and
// that may be left out stays empty here, and is not sent.
const EmptyFields = () => ({
  wrapComponents: {
    JsonSchemaForm: (Original, { React }) => (props) => {
      const touched = React.useRef(false);
      if (props.dispatchInitialValue === undefined || props.required) return React.createElement(Original, props);
      return React.createElement(Original, {
        ...props,
        dispatchInitialValue: undefined,
        value: touched.current ? props.value : "",
        onChange: (...given) => {
          touched.current = true;
          props.onChange(...given);
        },
      });
    },
  },
});

// Addresses are relative, so that the page works behind a prefix, too.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [EmptyFields],
  layout: "BaseLayout",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // nothing is sent to another host
});
