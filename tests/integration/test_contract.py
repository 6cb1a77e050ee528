"""/openapi.json: complete, valid, and true to the routes.

That every answer is one that it promises is checked wherever tests ask over HTTP
(contract_check.py).
"""

import json
from typing import Any

import pytest
from contract_check import BrokenContractError, check_answer, closed_components, document
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from server.web.contract.operations import OPERATIONS
from server.web.files import FileHandler


@pytest.mark.gen_test
async def test_the_document_is_served_and_can_be_asked_for_conditionally(service):
    answer = await service.call("GET", "/openapi.json")
    assert answer.json == document()
    again = await service.call("GET", "/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


def test_it_is_a_valid_openapi_3_1_document():
    assert document()["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(document()).iter_errors()) == []


def test_every_route_and_method_is_an_operation_and_nothing_else_is(service):
    served = {
        (method, path)
        for path, handler in service.handlers().items()
        if not issubclass(handler, FileHandler)
        for method in handler.allowed
        if method not in {"HEAD", "OPTIONS"}
    }
    assert served == {(one.method.upper(), one.path) for one in OPERATIONS}


def test_every_parameter_is_the_handlers(service):
    found = service.handlers()
    for one in OPERATIONS:
        if one.method == "get":
            assert tuple(query.name for query in one.queries) == (found[one.path].parameters or ()), one.path


def test_every_operation_has_a_summary_an_own_id_and_the_errors_that_any_may_give():
    ids = [operation["operationId"] for path in document()["paths"].values() for operation in path.values()]
    assert len(set(ids)) == len(ids) == len(OPERATIONS)
    for path in document()["paths"].values():
        for operation in path.values():
            assert operation["summary"]
            assert {"400", "413", "415", "500"} <= set(operation["responses"])


def shown(place: dict[str, Any]) -> list[Any]:
    """The examples of a parameter or of a kind of content."""
    one = [place["example"]] if "example" in place else []
    return one + [example["value"] for example in place.get("examples", {}).values()]


def faults(schema: dict[str, Any], value: Any) -> list[str]:
    validator = Draft202012Validator(
        {**schema, "components": closed_components()}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [f"{value}: {error.message}" for error in validator.iter_errors(value)]


def test_every_parameter_body_answer_and_problem_has_an_example_that_its_schema_takes():
    contents = []
    for path in document()["paths"].values():
        for operation in path.values():
            contents += operation.get("parameters", [])
            contents += operation.get("requestBody", {"content": {}})["content"].values()
            for status, response in operation["responses"].items():
                kinds = list(response.get("content", {}).values())
                assert kinds or status in {"204", "304"}
                contents += kinds
    for response in document()["components"]["responses"].values():
        contents += response["content"].values()
    for content in contents:
        schemas = content["schema"].get("anyOf", [content["schema"]])
        examples = shown(content)
        assert examples
        assert [fault for value in examples for fault in faults(content["schema"], value)] == []
        # One for each shape that it may have.
        assert all(any(not faults(schema, value) for value in examples) for schema in schemas)


@pytest.mark.gen_test
async def test_every_example_works(service):
    for one in OPERATIONS:
        if one.example is not None and one.does_example_work:
            answer = await service.call(one.method.upper(), one.path, one.example)
            assert answer.status == one.status, (one.path, answer.body)


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (200, "application/json", {"userId": 1}),
        (418, "application/problem+json", {}),
        (409, "application/json", {}),
        (409, "application/problem+json", {"code": "insufficient_funds"}),
    ],
)
def test_an_answer_that_is_not_promised_is_found(status, content_type, body):
    with pytest.raises(BrokenContractError):
        check_answer("POST", "/withdraw", status, content_type, json.dumps(body).encode())
