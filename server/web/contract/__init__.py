"""The HTTP interface as a document: OpenAPI 3.1, made from the types that the handlers use."""
