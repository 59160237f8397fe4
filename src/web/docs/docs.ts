// Swagger UI over the hub's own specification. Its "Authorize" takes a token; one that was typed on another page of
// this tab (access.js) is used until then.
SwaggerUIBundle({
  dom_id: "#ui",
  url: "/openapi.json",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: false,
  validatorUrl: null,
  requestInterceptor(request) {
    const token = sessionStorage.getItem("taskhub.token");
    if (token && !request.headers.Authorization) request.headers.Authorization = `Bearer ${token}`;
    return request;
  },
});
