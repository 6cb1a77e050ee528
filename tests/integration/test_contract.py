"""/openapi.json: complete, valid, and true to the routes.

That every answer is one that it promises is checked wherever tests ask over HTTP
(contract_check.py).
"""

import json

import pytest
from contract_check import BrokenContractError, check_answer, document
from openapi_spec_validator import OpenAPIV31SpecValidator

from server.web.application import make_front_door
from server.web.contract.operations import OPERATIONS
from server.web.handlers import JsonHandler

OUTSIDE = {"/openapi.json", "/docs"}


@pytest.mark.gen_test
async def test_the_document_is_served_and_can_be_asked_for_conditionally(service):
    answer = await service.call("GET", "/openapi.json")
    assert answer.json == document()
    again = await service.call("GET", "/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


def test_it_is_a_valid_openapi_3_1_document():
    assert document()["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(document()).iter_errors()) == []


def handlers(service) -> dict[str, type[JsonHandler]]:
    """By path, as the application serves them."""
    application = make_front_door(service.door.services).application
    rules = application.default_router.rules[0].target.rules
    return {rule.target_kwargs["route"]: rule.target for rule in rules}


def test_every_route_and_method_is_an_operation_and_nothing_else_is(service):
    served = {
        (method, path)
        for path, handler in handlers(service).items()
        if path not in OUTSIDE
        for method in handler.allowed
        if method not in {"HEAD", "OPTIONS"}
    }
    assert served == {(one.method.upper(), one.path) for one in OPERATIONS}


def test_every_parameter_is_the_handlers(service):
    found = handlers(service)
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


@pytest.mark.gen_test
async def test_every_example_works(service):
    for one in OPERATIONS:
        if one.example is not None:
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
